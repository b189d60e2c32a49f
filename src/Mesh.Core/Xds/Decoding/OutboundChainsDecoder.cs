using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.NetworkFilters;
using Wire = Mesh.Protos.Envoy.Listener;

namespace Mesh.Xds.Decoding;

/// <summary>LDS: the filter chains of a sidecar for calls out: at most one for HTTP, any number by TLS server name, and the default for all other bytes.</summary>
/// <remarks>The form that Envoy takes (FilterChainMatch), limited to what a sidecar of ours can act on.</remarks>
internal static class OutboundChainsDecoder
{
    private static readonly string[] HttpProtocols = ["h2c", "http/1.0", "http/1.1"];

    public static Listener Decode(Wire.Listener listener, DecodeErrors errors)
    {
        ListenerDecoder.CheckOriginalDst(listener, errors);
        HttpConnectionManager? http = null;
        var hasHttp = false;
        var chains = new List<TcpChain>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < listener.FilterChains.Count; i++)
        {
            var (given, path) = (listener.FilterChains[i], $"filter_chains[{i}]");
            CheckSocket(given, path, errors);
            var transport = ListenerDecoder.Transport(given.FilterChainMatch, $"{path}.filter_chain_match", errors);
            if (given.FilterChainMatch?.DestinationPort is not null)
            {
                errors.Add($"{path}.filter_chain_match.destination_port", "is set", "Leave it out: the listener's name is the address.");
            }

            if (given.FilterChainMatch?.ApplicationProtocols.Count > 0)
            {
                CheckHttpMatch(given.FilterChainMatch, transport, hasHttp, $"{path}.filter_chain_match", errors);
                (hasHttp, http) = (true, Http(given, $"{path}.filters", errors));
            }
            else if (Proxy(given, $"{path}.filters", errors) is var (name, clusters))
            {
                chains.Add(new TcpChain(name, ServerNames(given.FilterChainMatch, transport, names, $"{path}.filter_chain_match", errors), clusters));
            }
        }

        if (listener.DefaultFilterChain is { } last)
        {
            CheckSocket(last, "default_filter_chain", errors);
            if (Proxy(last, "default_filter_chain.filters", errors) is var (name, clusters))
            {
                chains.Add(new TcpChain(name, [], clusters));
            }
        }

        return new Listener(listener.Name) { Api = http, Tcp = chains };
    }

    private static void CheckSocket(Wire.FilterChain given, string path, DecodeErrors errors)
    {
        if (given.TransportSocket is not null)
        {
            errors.Add($"{path}.transport_socket", "is set", "Leave it out: what an app sends is not decrypted.");
        }
    }

    private static void CheckHttpMatch(Wire.FilterChainMatch match, TransportProtocol transport, bool again, string path, DecodeErrors errors)
    {
        if (again)
        {
            errors.Add($"{path}.application_protocols", "takes the same connections as another chain", "Use one chain for HTTP.");
        }

        if (!match.ApplicationProtocols.Order(StringComparer.Ordinal).SequenceEqual(HttpProtocols, StringComparer.Ordinal))
        {
            errors.Add($"{path}.application_protocols", $"is {string.Join(", ", match.ApplicationProtocols)}", $"Use exactly {string.Join(", ", HttpProtocols)}.");
        }

        if (transport == TransportProtocol.Tls)
        {
            errors.Add($"{path}.transport_protocol", "is 'tls' beside application_protocols", "HTTP is read where it is not encrypted: use 'raw_buffer' or leave it out.");
        }

        if (match.ServerNames.Count > 0)
        {
            errors.Add($"{path}.server_names", "is set beside application_protocols", "Only TLS has server names: leave it out.");
        }
    }

    private static List<string> ServerNames(Wire.FilterChainMatch? match, TransportProtocol transport, HashSet<string> seen, string path, DecodeErrors errors)
    {
        if (match is null || match.ServerNames.Count == 0)
        {
            errors.Add(path, "names no server and no application protocol", "Put what takes all other connections into default_filter_chain.");
            return [];
        }

        if (transport != TransportProtocol.Tls)
        {
            errors.Add($"{path}.transport_protocol", $"is '{match.TransportProtocol}' beside server_names", "Use 'tls'.");
        }

        var names = new List<string>(match.ServerNames.Count);
        for (var i = 0; i < match.ServerNames.Count; i++)
        {
            var name = match.ServerNames[i].ToLowerInvariant();
            if (!IsServerName(name.StartsWith("*.", StringComparison.Ordinal) ? name[2..] : name))
            {
                errors.Add($"{path}.server_names[{i}]", $"is '{match.ServerNames[i]}'", "Use a host name, or '*.' and a host name.");
            }
            else if (!seen.Add(name))
            {
                errors.Add($"{path}.server_names[{i}]", $"is '{match.ServerNames[i]}', which another chain takes", "Name each server once.");
            }
            else
            {
                names.Add(name);
            }
        }

        return names;
    }

    /// <summary>Dots between labels; a star stands only before (RFC 6066 §3: no trailing dot).</summary>
    private static bool IsServerName(string name) => name.Length is > 0 and <= 253 && Array.TrueForAll(name.Split('.'), label =>
        label.Length is > 0 and <= 63 && label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'));

    private static HttpConnectionManager? Http(Wire.FilterChain given, string path, DecodeErrors errors) =>
        Only(given, path, "an HttpConnectionManager", errors) is { } any ? ListenerDecoder.Manager(any, inbound: false, $"{path}[0].typed_config", errors) : null;

    private static (string Name, IReadOnlyList<WeightedCluster> Clusters)? Proxy(Wire.FilterChain given, string path, DecodeErrors errors)
    {
        var here = $"{path}[0].typed_config";
        if (Only(given, path, "a TcpProxy", errors) is not { } any || errors.Unpack<TcpProxy>(any, here) is not { } proxy)
        {
            return null;
        }

        switch (proxy.ClusterSpecifierCase)
        {
            case TcpProxy.ClusterSpecifierOneofCase.Cluster when proxy.Cluster.Length > 0:
                return (proxy.StatPrefix, [new WeightedCluster(proxy.Cluster, 1)]);
            case TcpProxy.ClusterSpecifierOneofCase.WeightedClusters:
                return (proxy.StatPrefix, Weighted(proxy.WeightedClusters, $"{here}.weighted_clusters.clusters", errors));
            default:
                errors.Add(here, "names no cluster", "Set cluster or weighted_clusters.");
                return null;
        }
    }

    private static List<WeightedCluster> Weighted(TcpProxy.Types.WeightedCluster given, string path, DecodeErrors errors)
    {
        var sum = given.Clusters.Aggregate(0UL, (total, c) => total + c.Weight);
        if (sum is 0 or > uint.MaxValue)
        {
            errors.Add(path, $"have weights that add up to {sum}", $"Use a sum of 1–{uint.MaxValue}.");
        }

        var clusters = new List<WeightedCluster>(given.Clusters.Count);
        for (var i = 0; i < given.Clusters.Count; i++)
        {
            var cluster = given.Clusters[i];
            if (cluster.Name.Length == 0)
            {
                errors.Add($"{path}[{i}].name", "is empty", "Name the cluster.");
            }

            if (cluster.Weight == 0)
            {
                errors.Add($"{path}[{i}].weight", "is 0", "Use 1 or more, or leave the cluster out.");
            }

            // A quarter of each keeps the sum inside an int without moving the shares.
            clusters.Add(new WeightedCluster(cluster.Name, (int)(sum > int.MaxValue ? Math.Max(1, cluster.Weight >> 2) : cluster.Weight)));
        }

        return clusters;
    }

    /// <summary>The one filter of a chain; null when there is none or another.</summary>
    private static Any? Only(Wire.FilterChain given, string path, string what, DecodeErrors errors)
    {
        if (given.Filters.Count != 1)
        {
            errors.Add(path, $"has {given.Filters.Count} entries", $"Put {what} there, alone.");
            return null;
        }

        if (given.Filters[0].TypedConfig is { } any)
        {
            return any;
        }

        errors.Add($"{path}[0].typed_config", "is not set", $"Put {what} there.");
        return null;
    }
}
