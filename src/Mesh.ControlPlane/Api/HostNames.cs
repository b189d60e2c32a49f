using System.Net;

namespace Mesh.ControlPlane.Api;

/// <summary>The names under which the HTTP port is somebody's own: no page of a stranger, whose name leads here, turns a browser against it (DNS rebinding).</summary>
internal sealed class HostNames
{
    /// <summary>Of the Service in a cluster.</summary>
    private const string Service = "mesh-control-plane";

    private readonly HashSet<string> _names;

    /// <param name="systemNamespace">Where the Service is, in a cluster.</param>
    public HostNames(string systemNamespace, string clusterDomain, IEnumerable<string> more) => _names = new(
        ["localhost", Service, $"{Service}.{systemNamespace}", $"{Service}.{systemNamespace}.svc", $"{Service}.{systemNamespace}.svc.{clusterDomain}", .. more.Select(Bare)], StringComparer.OrdinalIgnoreCase);

    /// <summary>Nobody's name resolves to an IP literal, and names below localhost never leave the machine (RFC 6761).</summary>
    public bool IsOwn(string? host)
    {
        var name = Bare(host ?? string.Empty);
        return name.Length == 0 || IPAddress.TryParse(name, out _) || (name.StartsWith('[') && name.EndsWith(']') && IPAddress.TryParse(name[1..^1], out _))
            || name.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase) || _names.Contains(name);
    }

    private static string Bare(string host) => host.TrimEnd('.');
}
