namespace Mesh.ControlPlane.Xds;

internal enum ClientEventKind
{
    Connected,
    Lost,

    /// <summary>It refused something; told once until it takes something of that type again.</summary>
    Refused,
}

/// <summary>Something that happened to a client whose node is known.</summary>
/// <param name="Text">Of a refusal: what, and why.</param>
internal sealed record ClientEvent(ClientEventKind Kind, Model.NodeContext Node, string? Text = null);
