namespace Mesh.ControlPlane.Model;

/// <summary>Where state is kept under names: a folder, or what the replicas of a cluster share.</summary>
internal interface IStateStore
{
    /// <summary>Others keep and read it too. Then all that it needs is in it, an operator's issuer key as well.</summary>
    bool IsShared { get; }

    bool Exists(string name);

    string ReadText(string name);

    /// <summary>How messages call it.</summary>
    string File(string name);

    void Write(string name, ReadOnlySpan<byte> bytes, bool secret);

    /// <summary>That it was gone already is no error.</summary>
    void Delete(string name);
}
