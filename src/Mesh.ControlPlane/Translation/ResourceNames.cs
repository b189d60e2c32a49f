using System.Globalization;
using System.Net;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Translation;

/// <summary>Names on the wire (contracts §2), both ways.</summary>
internal sealed class ResourceNames(string clusterDomain)
{
    private const string OutboundPrefix = "outbound|";
    private const string InvalidPrefix = "invalid|";

    /// <summary>The canonical listener, also the name of its routes.</summary>
    public string Listener(ServiceName service, int port) => $"{Fqdn(service)}:{port.ToString(CultureInfo.InvariantCulture)}";

    public string Cluster(ServiceName service, int port) => $"{OutboundPrefix}{port.ToString(CultureInfo.InvariantCulture)}||{Fqdn(service)}";

    /// <summary>A cluster that exists and never has an endpoint: what peers that cannot answer by themselves get for a backend that is none.</summary>
    public string InvalidCluster(ServiceName service, int port) => $"{InvalidPrefix}{port.ToString(CultureInfo.InvariantCulture)}||{Fqdn(service)}";

    public static bool IsInvalidCluster(string name) => name.StartsWith(InvalidPrefix, StringComparison.Ordinal);

    /// <summary>Reads a cluster name; the Service may not exist.</summary>
    public bool TryCluster(string name, out ServiceName service, out int port)
    {
        (service, port) = (default, 0);
        return name.Split('|') is ["outbound", var number, "", var fqdn] && TryPort(number, out port) && TryFqdn(fqdn, out service);
    }

    /// <summary>Reads the name of routes; only the canonical form is one.</summary>
    public bool TryRoutes(string name, out ServiceName service, out int port)
    {
        (service, port) = (default, 0);
        var colon = name.LastIndexOf(':');
        return colon > 0 && TryPort(name[(colon + 1)..], out port) && TryFqdn(name[..colon], out service);
    }

    /// <summary>Reads a host as people write it: one label (in <paramref name="defaultNamespace"/>), <c>svc.ns</c>, <c>svc.ns.svc</c> or the full name.</summary>
    public bool TryHost(string host, string defaultNamespace, out ServiceName service)
    {
        host = host.ToLowerInvariant();
        host = host.EndsWith('.') ? host[..^1] : host;
        service = default;
        if (host.Length == 0 || TryFqdn(host, out service))
        {
            return host.Length > 0;
        }

        var labels = host.EndsWith(".svc", StringComparison.Ordinal) && host.Count(c => c == '.') == 2 ? host[..^4].Split('.') : host.Split('.');
        if (labels.Length > 2 || Array.Exists(labels, l => l.Length == 0))
        {
            return false;
        }

        service = labels is [var name, var ns] ? new ServiceName(ns, name) : new ServiceName(defaultNamespace, labels[0]);
        return true;
    }

    /// <summary>Parts a listener name in host and port; no port is null.</summary>
    public static bool TrySplit(string name, out string host, out int? port)
    {
        (host, port) = (name, null);
        var colon = name.LastIndexOf(':');
        if (colon < 0)
        {
            return true;
        }

        if (!TryPort(name[(colon + 1)..], out var number))
        {
            return false;
        }

        (host, port) = (name[..colon], number);
        return true;
    }

    /// <summary>Reads <c>ip:port</c>, IPv6 in brackets.</summary>
    public static bool TryAddress(string text, out IPAddress address, out int port)
    {
        (address, port) = (IPAddress.None, 0);
        return TrySplit(text, out var host, out var number) && number is not null && (port = number.Value) > 0
            && (host.StartsWith('[') ? host.EndsWith(']') && IPAddress.TryParse(host[1..^1], out address!) : !host.Contains(':', StringComparison.Ordinal) && IPAddress.TryParse(host, out address!))
            && address is not null;
    }

    private string Fqdn(ServiceName service) => $"{service.Name}.{service.Namespace}.svc.{clusterDomain}";

    private bool TryFqdn(string fqdn, out ServiceName service)
    {
        service = default;
        var suffix = ".svc." + clusterDomain;
        if (!fqdn.EndsWith(suffix, StringComparison.Ordinal) || fqdn[..^suffix.Length].Split('.') is not [{ Length: > 0 } name, { Length: > 0 } ns])
        {
            return false;
        }

        service = new ServiceName(ns, name);
        return true;
    }

    private static bool TryPort(string text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is >= 1 and <= 65535;
}
