namespace Mesh.ControlPlane.Model;

/// <summary>What a sidecar looks for in the first bytes to a port of a Service.</summary>
/// <param name="Http">HTTP requests; else none is read as such.</param>
/// <param name="Tls">The server name of a TLS connection that stays encrypted.</param>
internal readonly record struct PortContent(bool Http, bool Tls)
{
    /// <summary>Protocols in which the server speaks first, or that no sidecar can read, by the ports they are known for (Linkerd's list).</summary>
    public static readonly IReadOnlyList<int> OpaqueByDefault = [25, 587, 3306, 4444, 5432, 6379, 9300, 11211];

    /// <summary>Bytes that are nobody's business: not even looked at.</summary>
    public static readonly PortContent Opaque = new(Http: false, Tls: false);

    private static readonly PortContent Detected = new(Http: true, Tls: true);

    public bool IsOpaque => !Http && !Tls;

    /// <summary><c>appProtocol</c>, else the annotation, else the port's number.</summary>
    /// <remarks>An appProtocol that we do not know is bytes: the port's owner says that it is something else.</remarks>
    public static PortContent Of(ServicePort port) => port.AppProtocol switch
    {
        null or "" => port.DeclaredOpaque ?? OpaqueByDefault.Contains(port.Port) ? Opaque : Detected,
        "http" or "kubernetes.io/h2c" or "h2c" or "grpc" or "kubernetes.io/ws" => Detected,
        "https" or "tls" or "kubernetes.io/wss" => new PortContent(Http: false, Tls: true),
        _ => Opaque,
    };
}
