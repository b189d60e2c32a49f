namespace Mesh.Outbound;

/// <summary>Which hosts can be services at all, and what a canonical name says (contracts §2 and §6). Pure.</summary>
internal static class ServiceNames
{
    /// <summary>True for what is worth asking the control plane: one label, <c>*.svc</c>, <c>*.svc.&lt;cluster domain&gt;</c>, two labels over http.</summary>
    public static bool CanBeService(Uri uri, string clusterDomain)
    {
        if (uri.HostNameType != UriHostNameType.Dns)
        {
            return false;
        }

        var host = uri.Host.AsSpan();
        if (host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        return host.Count('.') switch
        {
            0 => true,
            1 => IsHttp(uri),
            _ => IsServiceForCertain(host, clusterDomain),
        };
    }

    /// <summary>True for <c>*.*.svc</c> and <c>*.svc.&lt;cluster domain&gt;</c>, which nothing outside the mesh is called.</summary>
    public static bool IsServiceForCertain(ReadOnlySpan<char> host, string clusterDomain)
    {
        var dots = host.Count('.');
        return (dots >= 2 && host.EndsWith(".svc", StringComparison.OrdinalIgnoreCase))
            || (dots >= 3 && host.EndsWith(clusterDomain, StringComparison.OrdinalIgnoreCase) && EndsWithSvc(host[..^clusterDomain.Length]));
    }

    /// <summary>Service and namespace of <c>&lt;service&gt;.&lt;namespace&gt;.svc.…[:port]</c>, or of <c>outbound|port||…</c>, where the name of one endpoint may stand before; any other name is the service, without namespace.</summary>
    public static (string Service, string Namespace) Parse(string name)
    {
        var bar = name.LastIndexOf('|');
        var fqdn = bar >= 0 ? name[(bar + 1)..] : ListenerKey.Parse(name).Host;
        return fqdn.Split('.', 5) switch
        {
            [var service, var ns, "svc", ..] => (service, ns),
            [_, var service, var ns, "svc", ..] => (service, ns),
            _ => (fqdn, string.Empty),
        };
    }

    /// <summary>The scheme that .NET service discovery writes (<c>https+http</c>) and the like: the mesh secures the hop itself, so plain http is meant.</summary>
    public static bool IsCombinedScheme(string scheme) => scheme is "https+http" or "http+https";

    private static bool IsHttp(Uri uri) => uri.Scheme == Uri.UriSchemeHttp || IsCombinedScheme(uri.Scheme);

    private static bool EndsWithSvc(ReadOnlySpan<char> host) => host.EndsWith(".svc.", StringComparison.OrdinalIgnoreCase);
}
