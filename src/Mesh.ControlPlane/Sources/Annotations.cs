namespace Mesh.ControlPlane.Sources;

/// <summary>The annotations that a source reads.</summary>
internal static class Annotations
{
    /// <summary>The domain of everything that users write for us.</summary>
    public const string Domain = "meshlib.io";

    /// <summary>On an EndpointSlice or a Service: the service account its endpoints run as, where no Pod says it (contracts §3).</summary>
    public const string ServiceAccount = Domain + "/service-account";

    /// <summary>All of ours, to find a misspelt one.</summary>
    public static readonly IReadOnlyList<string> All = [ServiceAccount];
}
