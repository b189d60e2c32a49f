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
    /// <param name="instance">One of its endpoints (<see cref="ServiceEndpoint.Instance"/>); null is all.</param>
    public string Listener(ServiceName service, int port, string? instance = null) => $"{Fqdn(service, instance)}:{port.ToString(CultureInfo.InvariantCulture)}";

    /// <inheritdoc cref="Listener"/>
    public string Cluster(ServiceName service, int port, string? instance = null) => $"{OutboundPrefix}{port.ToString(CultureInfo.InvariantCulture)}||{Fqdn(service, instance)}";

    /// <summary>A cluster that exists and never has an endpoint: what peers that cannot answer by themselves get for a backend that is none.</summary>
    public string InvalidCluster(ServiceName service, int port) => $"{InvalidPrefix}{port.ToString(CultureInfo.InvariantCulture)}||{Fqdn(service)}";

    public static bool IsInvalidCluster(string name) => name.StartsWith(InvalidPrefix, StringComparison.Ordinal);

    /// <summary>Reads a cluster name; the Service may not exist.</summary>
    public bool TryCluster(string name, out ServiceName service, out int port, out string? instance)
    {
        (service, port, instance) = (default, 0, null);
        return name.Split('|') is ["outbound", var number, "", var fqdn] && TryPort(number, out port) && TryFqdn(fqdn, out service, out instance);
    }

    /// <summary>Reads the name of routes; only the canonical form is one.</summary>
    public bool TryRoutes(string name, out ServiceName service, out int port, out string? instance)
    {
        (service, port, instance) = (default, 0, null);
        var colon = name.LastIndexOf(':');
        return colon > 0 && TryPort(name[(colon + 1)..], out port) && TryFqdn(name[..colon], out service, out instance);
    }

    public bool TryHost(string host, string defaultNamespace, out ServiceName service) => TryHost(host, defaultNamespace, out service, out var instance) && instance is null;

    /// <summary>Reads a host as people write it: one label (in <paramref name="defaultNamespace"/>), <c>svc.ns</c>, <c>svc.ns.svc</c> or the full name; of the last two also with the label of an endpoint before it.</summary>
    public bool TryHost(string host, string defaultNamespace, out ServiceName service, out string? instance)
    {
        host = host.ToLowerInvariant();
        host = host.EndsWith('.') ? host[..^1] : host;
        (service, instance) = (default, null);
        if (host.Length == 0 || TryFqdn(host, out service, out instance))
        {
            return host.Length > 0;
        }

        var isSvc = host.EndsWith(".svc", StringComparison.Ordinal) && host.Count(c => c == '.') is 2 or 3;
        var labels = isSvc ? host[..^4].Split('.') : host.Split('.');
        if (labels.Length > (isSvc ? 3 : 2) || Array.Exists(labels, l => l.Length == 0))
        {
            return false;
        }

        (service, instance) = labels switch
        {
            [var label, var name, var ns] => (new ServiceName(ns, name), label),
            [var name, var ns] => (new ServiceName(ns, name), null),
            _ => (new ServiceName(defaultNamespace, labels[0]), (string?)null),
        };
        return true;
    }

    /// <summary>As DNS searches it in a Pod: <c>db-0.db</c> is first looked for in the Pod's own namespace.</summary>
    public static bool TryInstance(string host, string ownNamespace, out ServiceName service, out string instance)
    {
        (service, instance) = host.ToLowerInvariant().Split('.') is [{ Length: > 0 } label, { Length: > 0 } name] ? (new ServiceName(ownNamespace, name), label) : (default, string.Empty);
        return instance.Length > 0;
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

    private string Fqdn(ServiceName service, string? instance = null) => $"{(instance is null ? string.Empty : instance + ".")}{service.Name}.{service.Namespace}.svc.{clusterDomain}";

    private bool TryFqdn(string fqdn, out ServiceName service, out string? instance)
    {
        (service, instance) = (default, null);
        var suffix = ".svc." + clusterDomain;
        if (!fqdn.EndsWith(suffix, StringComparison.Ordinal))
        {
            return false;
        }

        switch (fqdn[..^suffix.Length].Split('.'))
        {
            case [{ Length: > 0 } name, { Length: > 0 } ns]:
                service = new ServiceName(ns, name);
                return true;
            case [{ Length: > 0 } label, { Length: > 0 } name, { Length: > 0 } ns]:
                (service, instance) = (new ServiceName(ns, name), label);
                return true;
            default:
                return false;
        }
    }

    private static bool TryPort(string text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is >= 1 and <= 65535;
}
