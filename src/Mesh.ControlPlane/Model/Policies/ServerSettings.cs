using System.Collections.Immutable;
using System.Net;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What ServerPolicy says.</summary>
internal static class ServerSettings
{
    public static readonly Setting<MtlsMode> Mtls = new("server.mtls", MtlsMode.Permissive, m => m.ToString());

    public static readonly Setting<ServerProtocol> Protocol = new("server.protocol", ServerProtocol.HTTP, p => p.ToString());

    public static readonly Setting<AccessMode> Access = new("server.access", AccessMode.AllUnauthenticated, AccessModes.WordOf);

    public static readonly ImmutableArray<Setting> All = [Mtls, Protocol, Access];
}

/// <summary>What a port is read as.</summary>
internal enum ServerProtocol
{
    HTTP,

    /// <summary>Bytes: only who calls and from where can be judged.</summary>
    Opaque,
}

/// <summary>The words of access modes, as they stand in files, options and on the wire.</summary>
internal static class AccessModes
{
    public static readonly ImmutableArray<string> Words =
        ["all-unauthenticated", "all-authenticated", "cluster-unauthenticated", "cluster-authenticated", "deny", "audit"];

    public static string WordOf(AccessMode mode) => Words[(int)mode];

    public static bool TryParse(string word, out AccessMode mode)
    {
        mode = (AccessMode)Words.IndexOf(word);
        return mode >= 0;
    }

    public static bool AsksForIdentity(AccessMode mode) => mode is AccessMode.AllAuthenticated or AccessMode.ClusterAuthenticated;

    public static bool AsksForNetwork(AccessMode mode) => mode is AccessMode.ClusterUnauthenticated or AccessMode.ClusterAuthenticated;

    /// <summary>What both let in: a workload behind several Services keeps to all of them.</summary>
    public static AccessMode Both(AccessMode a, AccessMode b) =>
        a == b || b == AccessMode.Audit ? a
        : a == AccessMode.Audit ? b
        : a == AccessMode.Deny || b == AccessMode.Deny ? AccessMode.Deny
        : (AsksForIdentity(a) || AsksForIdentity(b), AsksForNetwork(a) || AsksForNetwork(b)) switch
        {
            (true, true) => AccessMode.ClusterAuthenticated,
            (true, false) => AccessMode.AllAuthenticated,
            (false, true) => AccessMode.ClusterUnauthenticated,
            _ => AccessMode.AllUnauthenticated,
        };
}

/// <summary>What holds for the whole cluster where no ServerPolicy speaks: options of the control plane.</summary>
internal sealed record ServerDefaults(MtlsMode Mtls, AccessMode Access, ImmutableArray<IPNetwork> ClusterNetworks)
{
    /// <summary>Private addresses (RFC 1918), shared ones (RFC 6598), unique local ones in use (RFC 4193) and loopback.</summary>
    public static readonly ImmutableArray<IPNetwork> PrivateNetworks =
    [
        IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("172.16.0.0/12"), IPNetwork.Parse("192.168.0.0/16"), IPNetwork.Parse("100.64.0.0/10"),
        IPNetwork.Parse("127.0.0.0/8"), IPNetwork.Parse("fd00::/8"), IPNetwork.Parse("::1/128"),
    ];

    public static ServerDefaults Default { get; } = new(MtlsMode.Permissive, AccessMode.AllUnauthenticated, PrivateNetworks);
}
