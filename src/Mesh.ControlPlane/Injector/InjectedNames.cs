namespace Mesh.ControlPlane.Injector;

/// <summary>What the injector calls what it puts into pods.</summary>
internal static class InjectedNames
{
    public const string Proxy = "mesh-proxy";

    public const string Init = "mesh-init";

    public const string Validate = "mesh-validate";

    public const string Volume = "mesh-identity";

    public const string Folder = "/var/run/mesh";

    public const string TokenFile = Folder + "/token";

    public const string TrustBundle = Folder + "/ca.crt";

    /// <summary>The program in the sidecar's image.</summary>
    public const string Program = "/mesh-proxy";

    public const string AdminPort = "mesh-admin";

    public const string InboundPort = "mesh-inbound";

    /// <summary>All containers of ours.</summary>
    public static readonly IReadOnlyList<string> Containers = [Proxy, Init, Validate];
}
