namespace Mesh.Client;

/// <summary>What is set for one named client.</summary>
internal sealed class MeshClientOptions
{
    public bool IsDisabled { get; set; }
}
