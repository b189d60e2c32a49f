using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.NetworkFilters;
using Mesh.Protos.Envoy.Tls;
using Hcm = Mesh.Protos.Envoy.Hcm.HttpConnectionManager;
using Wire = Mesh.Protos.Envoy.Listener;

namespace Mesh.Xds.Decoding;

/// <summary>LDS: the outbound forms (an API listener, gRFC A27; the filter chains of a sidecar) and the inbound form (filter chains, gRFC A36).</summary>
internal static class ListenerDecoder
{
    public static DecodeResult Decode(Wire.Listener listener)
    {
        var errors = new DecodeErrors();
        if (listener.Name.Length == 0)
        {
            errors.Add("name", "is empty", "Name the LDS resource as it was asked for.");
        }

        var chains = listener.FilterChains.Count > 0 || listener.DefaultFilterChain is not null;
        if (listener.ApiListener is null && !chains)
        {
            errors.Add("api_listener", "is not set, and neither are filter_chains", "Set api_listener for calls out, filter_chains for calls in.");
        }
        else if (listener.ApiListener is not null && chains)
        {
            errors.Add("api_listener", "is set, and so are filter_chains", "Set one of them.");
        }

        if (chains && listener.TrafficDirection == TrafficDirection.Outbound)
        {
            return errors.Result(listener.Name, OutboundChainsDecoder.Decode(listener, errors));
        }

        return errors.Result(listener.Name, new Listener(listener.Name)
        {
            Api = listener.ApiListener is null ? null : Manager(listener.ApiListener.ApiListener_, inbound: false, "api_listener", errors),
            FilterChains = chains ? FilterChains(listener, errors) : [],
        });
    }

    public static HttpConnectionManager? Manager(Any? any, bool inbound, string path, DecodeErrors errors)
    {
        if (errors.Unpack<Hcm>(any, path) is not { } given)
        {
            return null;
        }

        var filters = HttpFilterDecoder.Decode(given.HttpFilters, inbound, $"{path}.http_filters", errors);
        if (given.XffNumTrustedHops != 0)
        {
            errors.Add($"{path}.xff_num_trusted_hops", $"is {given.XffNumTrustedHops}", "Leave it 0.");
        }

        if (given.OriginalIpDetectionExtensions.Count != 0)
        {
            errors.Add($"{path}.original_ip_detection_extensions", $"has {given.OriginalIpDetectionExtensions.Count} entries", "Leave it empty.");
        }

        var duration = errors.Time(given.CommonHttpProtocolOptions?.MaxStreamDuration, $"{path}.common_http_protocol_options.max_stream_duration");
        duration = duration > TimeSpan.Zero ? duration : null;
        switch (given.RouteSpecifierCase)
        {
            case Hcm.RouteSpecifierOneofCase.Rds when inbound:
                errors.Add($"{path}.rds", "names routes elsewhere", "Put route_config into a listener for calls in: what its routes override must come with it.");
                return null;
            case Hcm.RouteSpecifierOneofCase.Rds:
                var source = given.Rds.ConfigSource;
                if (source?.Ads is null && source?.Self is null)
                {
                    errors.Add($"{path}.rds.config_source", "is neither ads nor self", "Use ads: {}.");
                }

                if (given.Rds.RouteConfigName.Length == 0)
                {
                    errors.Add($"{path}.rds.route_config_name", "is empty", "Name the RDS resource.");
                }

                return new HttpConnectionManager(given.Rds.RouteConfigName, null, duration) { Filters = filters };
            case Hcm.RouteSpecifierOneofCase.RouteConfig:
                var routes = RouteConfigurationDecoder.Decode(given.RouteConfig, $"{path}.route_config.", errors);
                HttpFilterDecoder.CheckTokensEverywhere(filters, routes, $"{path}.route_config", errors);
                return new HttpConnectionManager(null, routes, duration) { Filters = filters };
            default:
                errors.Add(path, "has no routes that can be read here", "Set rds or route_config.");
                return null;
        }
    }

    private static List<FilterChain> FilterChains(Wire.Listener listener, DecodeErrors errors)
    {
        CheckOriginalDst(listener, errors);
        var chains = new List<FilterChain>();
        for (var i = 0; i < listener.FilterChains.Count; i++)
        {
            var (given, path) = (listener.FilterChains[i], $"filter_chains[{i}]");
            var chain = Chain(given, Transport(given.FilterChainMatch, $"{path}.filter_chain_match", errors), path, errors);
            if (given.FilterChainMatch is { } match && (match.DestinationPort is not null || match.ServerNames.Count > 0 || match.ApplicationProtocols.Count > 0))
            {
                continue; // never matches on the receiving side of ours (gRFC A36)
            }

            if (chains.Exists(c => c.Transport == chain.Transport))
            {
                errors.Add($"{path}.filter_chain_match", $"takes the same connections as another chain ({chain.Transport})", "Make the matches differ.");
            }

            chains.Add(chain);
        }

        if (listener.DefaultFilterChain is { } last)
        {
            var chain = Chain(last, TransportProtocol.Any, "default_filter_chain", errors);
            if (!chains.Exists(c => c.Transport == TransportProtocol.Any))
            {
                chains.Add(chain);
            }
        }

        // Most specific first; a chain for any bytes is asked last.
        return [.. chains.OrderBy(c => c.Transport switch { TransportProtocol.Tls => 0, TransportProtocol.RawBuffer => 1, _ => 2 })];
    }

    public static void CheckOriginalDst(Wire.Listener listener, DecodeErrors errors)
    {
        if (listener.UseOriginalDst == true)
        {
            errors.Add("use_original_dst", "is true", "Leave it out (gRFC A36).");
        }
    }

    public static TransportProtocol Transport(Wire.FilterChainMatch? match, string path, DecodeErrors errors)
    {
        if (match is null)
        {
            return TransportProtocol.Any;
        }

        if (match.PrefixRanges.Count + match.SourcePrefixRanges.Count + match.DirectSourcePrefixRanges.Count + match.SourcePorts.Count > 0
            || match.SourceType != Wire.FilterChainMatch.Types.ConnectionSourceType.Any)
        {
            errors.Add(path, "matches by address, port or source type", "That is not supported yet; match by transport_protocol.");
        }

        switch (match.TransportProtocol)
        {
            case "":
                return TransportProtocol.Any;
            case "tls":
                return TransportProtocol.Tls;
            case "raw_buffer":
                return TransportProtocol.RawBuffer;
            default:
                errors.Add($"{path}.transport_protocol", $"is '{match.TransportProtocol}'", "Use 'tls', 'raw_buffer' or leave it out.");
                return TransportProtocol.Any;
        }
    }

    private static FilterChain Chain(Wire.FilterChain given, TransportProtocol transport, string path, DecodeErrors errors)
    {
        var (http, isOpaque, rules) = Filters(given.Filters, $"{path}.filters", errors);
        if (given.TransportSocket is null)
        {
            return new FilterChain(given.Name, transport, MeshTls: false, RequireClientCertificate: false) { Http = http, IsOpaque = isOpaque, ConnectionRules = rules };
        }

        var socket = $"{path}.transport_socket";
        TlsContextDecoder.CheckName(given.TransportSocket, socket, errors);
        var context = errors.Unpack<DownstreamTlsContext>(given.TransportSocket.TypedConfig, $"{socket}.typed_config");
        TlsContextDecoder.CheckDownstream(context, $"{socket}.typed_config", errors);
        return new FilterChain(given.Name, transport, MeshTls: true, context?.RequireClientCertificate ?? false) { Http = http, IsOpaque = isOpaque, ConnectionRules = rules };
    }

    /// <summary>Any number of access control filters, then what the bytes are for.</summary>
    private static (HttpConnectionManager? Http, bool IsOpaque, IReadOnlyList<RbacFilter> Rules) Filters(RepeatedField<Wire.Filter> given, string path, DecodeErrors errors)
    {
        if (given.Count == 0)
        {
            errors.Add(path, "is empty", "Put an HttpConnectionManager or a TcpProxy at the end.");
            return (null, false, []);
        }

        IReadOnlyList<RbacFilter> rules = [];
        for (var i = 0; i < given.Count - 1; i++)
        {
            var here = $"{path}[{i}].typed_config";
            if (errors.Unpack<RBAC>(given[i].TypedConfig, here) is { } rbac && RbacDecoder.Decode(rbac, here, errors) is { } filter)
            {
                rules = [.. rules, filter];
            }
        }

        var (last, end) = (given[^1].TypedConfig, $"{path}[{given.Count - 1}].typed_config");
        if (last is not null && last.Is(TcpProxy.Descriptor))
        {
            errors.Unpack<TcpProxy>(last, end);
            return (null, true, rules);
        }

        return (Manager(last, inbound: true, end, errors), false, rules);
    }
}
