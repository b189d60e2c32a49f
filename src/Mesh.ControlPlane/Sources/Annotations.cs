namespace Mesh.ControlPlane.Sources;

/// <summary>The annotations that a source reads.</summary>
internal static class Annotations
{
    /// <summary>The domain of everything that users write for us.</summary>
    public const string Domain = "meshlib.io";

    /// <summary>How we name ourselves in the status of routes and policies.</summary>
    public const string Controller = Domain + "/control-plane";

    /// <summary>On an EndpointSlice or a Service: the service account its endpoints run as, where no Pod says it (contracts §3).</summary>
    public const string ServiceAccount = Domain + "/service-account";

    /// <summary>On a Service, with its own ports, or on an EndpointSlice, with the slice's: which of them sidecars pass on as bytes. It replaces the default list.</summary>
    public const string OpaquePorts = Domain + "/opaque-ports";

    /// <summary>All of ours, to find a misspelt one.</summary>
    public static readonly IReadOnlyList<string> All = [ServiceAccount, OpaquePorts];
}
