namespace Mesh.Outbound;

/// <summary>No connection to an endpoint came about: nothing of the request was sent. The message says which step failed and why.</summary>
internal sealed class EndpointConnectException(string message, Exception? inner) : IOException(message, inner)
{
    /// <summary>The peer is not who it must be, or TLS failed.</summary>
    public bool IsTls { get; init; }
}
