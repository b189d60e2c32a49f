using System.Net;
using System.Net.Sockets;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Endpoint;
using Mesh.Spiffe;
using ModelEndpoint = Mesh.Config.Endpoint;
using ModelLocality = Mesh.Config.Locality;
using SocketAddress = Mesh.Protos.Envoy.Core.SocketAddress;

namespace Mesh.Xds.Decoding;

/// <summary>EDS: which addresses serve a cluster (gRFC A27, A74; contracts §3 for our metadata).</summary>
internal static class LoadAssignmentDecoder
{
    public static DecodeResult Decode(ClusterLoadAssignment assignment)
    {
        var errors = new DecodeErrors();
        if (assignment.ClusterName.Length == 0)
        {
            errors.Add("cluster_name", "is empty", "Name the EDS resource as it was asked for.");
        }

        var large = assignment.Endpoints.GroupBy(l => l.Priority).Any(g => Sum(g.Select(l => l.LoadBalancingWeight ?? 0)) > int.MaxValue);
        var localities = new List<LocalityEndpoints>();
        var places = new HashSet<(ModelLocality Place, uint Priority)>();
        var addresses = new HashSet<(string Address, int Port)>();
        for (var i = 0; i < assignment.Endpoints.Count; i++)
        {
            var given = assignment.Endpoints[i];
            var path = $"endpoints[{i}]";
            if (given.Locality is null)
            {
                errors.Add($"{path}.locality", "is not set", "Set it; an empty one will do.");
                continue;
            }

            if (given.LoadBalancingWeight is null or 0)
            {
                continue; // takes no traffic (gRFC A27)
            }

            var place = new ModelLocality(given.Locality.Region, given.Locality.Zone, given.Locality.SubZone);
            if (!places.Add((place, given.Priority)))
            {
                errors.Add(path, $"repeats locality '{place.Region}/{place.Zone}/{place.SubZone}' of priority {given.Priority}", "List each locality once per priority.");
            }

            var endpoints = Endpoints(given.LbEndpoints, path, addresses, errors);
            localities.Add(new LocalityEndpoints(place, (int)Math.Min(given.Priority, int.MaxValue), Scale(given.LoadBalancingWeight.Value, large), endpoints));
        }

        CheckPriorities(assignment, localities, errors);
        return errors.Result(assignment.ClusterName, new LoadAssignment(assignment.ClusterName, localities)
        {
            OverprovisioningPercent = Overprovisioning(assignment.Policy?.OverprovisioningFactor, errors),
            Drops = Drops(assignment.Policy, errors),
        });
    }

    private static List<ModelEndpoint> Endpoints(
        Google.Protobuf.Collections.RepeatedField<LbEndpoint> given, string path, HashSet<(string Address, int Port)> addresses, DecodeErrors errors)
    {
        var endpoints = new List<ModelEndpoint>(given.Count);
        var sum = Sum(given.Select(e => e.LoadBalancingWeight ?? 1));
        var large = sum > int.MaxValue;
        for (var i = 0; i < given.Count; i++)
        {
            var here = $"{path}.lb_endpoints[{i}]";
            if (Endpoint(given[i], large, here, errors) is not { } endpoint)
            {
                continue;
            }

            if (!addresses.Add((endpoint.Address, endpoint.Port)))
            {
                errors.Add(here, $"repeats the address {endpoint.HostPort}", "List each address once.");
            }

            endpoints.Add(endpoint);
        }

        if (sum > uint.MaxValue)
        {
            errors.Add($"{path}.lb_endpoints", $"have weights that add up to {sum}", $"Keep the sum at most {uint.MaxValue}.");
        }

        return endpoints;
    }

    private static ModelEndpoint? Endpoint(LbEndpoint given, bool large, string path, DecodeErrors errors)
    {
        var before = errors.Count;
        if (given.LoadBalancingWeight == 0)
        {
            errors.Add($"{path}.load_balancing_weight", "is 0", "Use 1 or more, or leave it out.");
        }

        var address = string.Empty;
        var port = 0;
        var where = $"{path}.endpoint.address.socket_address";
        if (given.Endpoint?.Address?.SocketAddress is { } socket)
        {
            (address, port) = (Ip(socket, where, errors), (int)Math.Min(socket.PortValue, int.MaxValue));
            if (socket.PortSpecifierCase != SocketAddress.PortSpecifierOneofCase.PortValue || port is < 1 or > 65535)
            {
                errors.Add($"{where}.port_value", $"is {(socket.PortSpecifierCase == SocketAddress.PortSpecifierOneofCase.NamedPort ? $"the name '{socket.NamedPort}'" : socket.PortValue)}", "Use 1–65535.");
            }
        }
        else
        {
            errors.Add(where, "is not set", "Give an IP address and a port.");
        }

        var (tls, id, http2, tcp) = OurMetadata(given.Metadata, $"{path}.metadata.filter_metadata[\"{XdsTypes.MetadataKey}\"]", errors);
        return errors.Count > before ? null : new ModelEndpoint(
            address, port, Scale(given.LoadBalancingWeight ?? 1, large), given.HealthStatus is HealthStatus.Unknown or HealthStatus.Healthy)
        {
            Draining = given.HealthStatus == HealthStatus.Draining,
            Tls = tls,
            SpiffeId = id,
            SpeaksHttp2 = http2,
            SpeaksTcp = tcp,
            HashKey = HashKey(given.Metadata),
        };
    }

    private static string Ip(SocketAddress socket, string path, DecodeErrors errors)
    {
        // TryParse also takes "1" and "127.1"; those are typing mistakes here.
        if (socket.Protocol == SocketAddress.Types.Protocol.Tcp && IPAddress.TryParse(socket.Address, out var ip)
            && (ip.AddressFamily == AddressFamily.InterNetworkV6 ? !socket.Address.StartsWith('[') : ip.ToString() == socket.Address))
        {
            return ip.ToString();
        }

        errors.Add($"{path}.address", $"is '{socket.Address}' ({socket.Protocol})", "Use an IPv4 or IPv6 address, TCP.");
        return string.Empty;
    }

    private static (EndpointTls Tls, SpiffeId? Id, bool Http2, bool Tcp) OurMetadata(Metadata? metadata, string path, DecodeErrors errors)
    {
        if (metadata is null || !metadata.FilterMetadata.TryGetValue(XdsTypes.MetadataKey, out var ours))
        {
            return (EndpointTls.None, null, false, false);
        }

        var (http2, tcp) = ours.Fields.TryGetValue("protocols", out var protocols) && protocols.KindCase == Value.KindOneofCase.ListValue
            ? (protocols.ListValue.Values.Any(p => p.StringValue == "h2"), protocols.ListValue.Values.Any(p => p.StringValue == "tcp"))
            : (false, false);
        var tls = Word(ours, "tls");
        if (tls is null or "none")
        {
            return (EndpointTls.None, null, http2, tcp);
        }

        if (tls != "mesh")
        {
            errors.Add($"{path}.tls", $"is '{tls}'", "Use 'mesh' or 'none'.");
        }

        // Without the identity to expect, mesh TLS would accept anybody.
        if (!SpiffeId.TryParse(Word(ours, "spiffe_id"), out var id, out var problem))
        {
            errors.Add($"{path}.spiffe_id", $"is not usable: {problem}", "With tls 'mesh' give the endpoint's SPIFFE ID.");
        }

        return (EndpointTls.Mesh, id, http2, tcp);
    }

    /// <summary>Anything but a text of at least one character is as if absent (gRFC A76).</summary>
    private static string? HashKey(Metadata? metadata) =>
        metadata is not null && metadata.FilterMetadata.TryGetValue("envoy.lb", out var fields) && fields.Fields.TryGetValue("hash_key", out var key)
        && key.KindCase == Value.KindOneofCase.StringValue && key.StringValue.Length > 0 ? key.StringValue : null;

    private static string? Word(Struct fields, string key) =>
        fields.Fields.TryGetValue(key, out var value) ? value.KindCase == Value.KindOneofCase.StringValue ? value.StringValue : value.KindCase.ToString() : null;

    private static void CheckPriorities(ClusterLoadAssignment assignment, List<LocalityEndpoints> localities, DecodeErrors errors)
    {
        var expected = 0;
        foreach (var group in localities.GroupBy(l => l.Priority).OrderBy(g => g.Key))
        {
            if (group.Key != expected)
            {
                errors.Add("endpoints", $"have priority {group.Key} but none of priority {expected}", "Number priorities from 0 without a gap.");
                return;
            }

            expected++;
        }

        foreach (var group in assignment.Endpoints.GroupBy(l => l.Priority))
        {
            var sum = Sum(group.Select(l => l.LoadBalancingWeight ?? 0));
            if (sum > uint.MaxValue)
            {
                errors.Add("endpoints", $"of priority {group.Key} have weights that add up to {sum}", $"Keep the sum at most {uint.MaxValue}.");
            }
        }
    }

    private static List<DropCategory> Drops(ClusterLoadAssignment.Types.Policy? policy, DecodeErrors errors)
    {
        var drops = new List<DropCategory>();
        for (var i = 0; i < (policy?.DropOverloads.Count ?? 0); i++)
        {
            var given = policy!.DropOverloads[i];
            if (FractionDecoder.PerMillion(given.DropPercentage, $"policy.drop_overloads[{i}].drop_percentage", errors) is > 0 and var share)
            {
                drops.Add(new DropCategory(given.Category, share));
            }
        }

        return drops;
    }

    private static int Overprovisioning(uint? given, DecodeErrors errors)
    {
        if (given == 0)
        {
            errors.Add("policy.overprovisioning_factor", "is 0", "Use 1 or more, 100 being none, or leave it out for 140.");
        }

        return (int)Math.Min(given ?? 140, int.MaxValue);
    }

    private static ulong Sum(IEnumerable<uint> weights) => weights.Aggregate(0UL, (sum, weight) => sum + weight);

    /// <summary>Sums of weights reach 2³²−1 on the wire; a quarter of each keeps them inside an int without moving the shares.</summary>
    private static int Scale(uint weight, bool large) => large ? (int)Math.Max(1, weight >> 2) : (int)weight;
}
