using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Mesh.Config;

namespace Mesh.Hosting;

/// <summary>What this process calls itself towards the control plane.</summary>
/// <param name="Id"><c>workload~instance~namespace</c>.</param>
/// <param name="InstanceIps">Every address of this host that others may list as an endpoint, and loopback.</param>
internal sealed record LocalNode(string Id, string Namespace, string ServiceAccount, string Workload, IReadOnlyList<string> InstanceIps)
{
    /// <summary>Where it runs; null is unknown.</summary>
    public Locality? Locality { get; init; }

    /// <summary>A sidecar that stands before every port of this host: what listens at <see cref="InstanceIps"/> is in the mesh.</summary>
    public bool IsTransparent { get; init; }

    /// <summary>Ports that the sidecar lets alone, such as <c>22,9000-9010</c>; null is none.</summary>
    public string? SkipInboundPorts { get; init; }

    /// <summary>How a sidecar reaches endpoints, for it to be used where they are listed; null where nothing is different.</summary>
    /// <remarks>What listens at its own addresses is the app itself: the proxy's connections to it stay in the pod and come to no proxy that would end mesh TLS (Linkerd's rule).</remarks>
    public Func<Endpoint, Endpoint>? Reach => !IsTransparent ? null : endpoint => InstanceIps.Contains(endpoint.Address)
        ? endpoint with { Tls = EndpointTls.None, SpiffeId = null, SpeaksHttp2 = false, SpeaksTcp = false }
        : endpoint;

    public static LocalNode From(MeshOptions options)
    {
        var workload = options.Workload ?? options.ServiceAccount;
        var instance = $"{Environment.MachineName.Replace('~', '-')}-{Environment.ProcessId}";
        return new LocalNode($"{workload}~{instance}~{options.Namespace}", options.Namespace, options.ServiceAccount, workload, FindIps())
        {
            Locality = string.IsNullOrWhiteSpace(options.Region) && string.IsNullOrWhiteSpace(options.Zone)
                ? null
                : new Locality(options.Region?.Trim() ?? string.Empty, options.Zone?.Trim() ?? string.Empty, string.Empty),
        };
    }

    /// <summary>Every address of this host that others may list as an endpoint, and loopback.</summary>
    public static IReadOnlyList<string> FindIps()
    {
        List<string> ips = Socket.OSSupportsIPv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
        try
        {
            ips.AddRange(NetworkInterface.GetAllNetworkInterfaces()
                .Where(i => i.OperationalStatus != OperationalStatus.Down)
                .SelectMany(i => i.GetIPProperties().UnicastAddresses)
                .Select(a => a.Address)
                .Where(a => !IPAddress.IsLoopback(a) && !a.IsIPv6LinkLocal && a.AddressFamily is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6)
                .Select(a => a.ToString())
                .Distinct(StringComparer.Ordinal));
        }
        catch (NetworkInformationException)
        {
            // A sandbox that hides its interfaces: wildcard binds are then matched by loopback only.
        }

        return ips;
    }
}
