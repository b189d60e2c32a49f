using System.Collections.Frozen;
using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Route;
using Wire = Mesh.Protos.Envoy.Hcm;

namespace Mesh.Xds.Decoding;

/// <summary>The filters of a listener and their overrides (gRFC A39).</summary>
internal static class HttpFilterDecoder
{
    /// <param name="inbound">Of a listener for calls in: only there limits of the receiving side are known.</param>
    /// <returns>Those that do something here, in order.</returns>
    public static List<HttpFilter> Decode(RepeatedField<Wire.HttpFilter> filters, bool inbound, string path, DecodeErrors errors)
    {
        var known = new List<HttpFilter>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        var routers = new List<int>();
        var last = -1;
        for (var i = 0; i < filters.Count; i++)
        {
            var (filter, here) = (filters[i], $"{path}[{i}]");
            if (filter.Name.Length == 0)
            {
                errors.Add($"{here}.name", "is empty", "Name the filter.");
            }
            else if (!names.Add(filter.Name))
            {
                errors.Add($"{here}.name", $"repeats '{filter.Name}'", "Names must be unique.");
            }

            if (filter.TypedConfig is { } config && config.Is(Router.Descriptor))
            {
                routers.Add(i);
                last = i;
            }
            else if (TryDecode(filter.TypedConfig, inbound, isOverride: false, $"{here}.typed_config", errors, out var settings))
            {
                last = i;
                if (settings is not null && !filter.Disabled)
                {
                    known.Add(new HttpFilter(filter.Name, settings));
                }
            }
            else if (!filter.IsOptional)
            {
                errors.Add($"{here}.typed_config", $"has the type '{filter.TypedConfig?.TypeUrl}', which is not known here", "Mark the filter is_optional or leave it out.");
                last = i;
            }
        }

        if (filters.Count == 0)
        {
            errors.Add(path, "is empty", "Send at least the router filter.");
        }
        else if (routers.Count != 1 || routers[0] != last)
        {
            errors.Add(path, routers.Count == 0 ? "has no router filter" : $"has its router filter at [{string.Join(", ", routers)}]", "Put exactly one router, at the end.");
        }

        if (known.Count(f => f.Settings is JwtAuthentication) > 1)
        {
            errors.Add(path, "has more than one filter for tokens (JwtAuthentication)", "Put the providers into one.");
        }

        return known;
    }

    /// <summary>An override for a filter that is not there does not matter; one of an unknown type does, unless it is optional.</summary>
    public static FilterOverrides Overrides(MapField<string, Any> overrides, string path, DecodeErrors errors)
    {
        Dictionary<string, HttpFilterSettings?>? known = null;
        foreach (var (name, given) in overrides)
        {
            if (name == RoutePolicyDecoder.Key)
            {
                continue; // no filter
            }

            var here = $"{path}.typed_per_filter_config[\"{name}\"]";
            var (config, optional) = (given, false);
            if (given.Is(FilterConfig.Descriptor))
            {
                if (errors.Unpack<FilterConfig>(given, here) is not { } wrapped)
                {
                    continue;
                }

                if (wrapped.Disabled)
                {
                    (known ??= [])[name] = null;
                    continue;
                }

                (config, optional) = (wrapped.Config, wrapped.IsOptional);
            }

            if (config is not null && config.Is(Protos.Envoy.JwtAuthn.JwtAuthentication.Descriptor))
            {
                errors.Add(here, "replaces the filter for tokens at one route", "Say it in the filter's own rules, which match by path.");
            }
            else if (TryDecode(config, inbound: true, isOverride: true, here, errors, out var settings))
            {
                (known ??= [])[name] = settings;
            }
            else if (!optional)
            {
                errors.Add(here, $"has the type '{config?.TypeUrl}', which is not known here", "Wrap it in a FilterConfig with is_optional, or leave it out.");
            }
        }

        return known is null ? FilterOverrides.None : new FilterOverrides(known.ToFrozenDictionary(StringComparer.Ordinal));
    }

    /// <summary>Tokens are looked at before routes are: no route may turn that off.</summary>
    public static void CheckTokensEverywhere(List<HttpFilter> filters, Config.RouteConfiguration routes, string path, DecodeErrors errors)
    {
        if (filters.Find(f => f.Settings is JwtAuthentication) is { } tokens
            && routes.VirtualHosts.Any(h => h.FilterOverrides.ByName.ContainsKey(tokens.Name) || h.Routes.Any(r => r.FilterOverrides.ByName.ContainsKey(tokens.Name))))
        {
            errors.Add(path, $"overrides the filter '{tokens.Name}' at some routes", "Say it in the filter's own rules, which match by path.");
        }
    }

    /// <summary>False when the type is not known here.</summary>
    /// <param name="settings">Null when the filter does nothing.</param>
    private static bool TryDecode(Any? config, bool inbound, bool isOverride, string path, DecodeErrors errors, out HttpFilterSettings? settings)
    {
        settings = null;
        switch (config is null ? string.Empty : Any.GetTypeName(config.TypeUrl))
        {
            case "envoy.extensions.filters.http.fault.v3.HTTPFault":
                settings = errors.Unpack<HTTPFault>(config, path) is { } fault ? FaultDecoder.Decode(fault, path, errors) : null;
                return true;
            case "envoy.extensions.filters.http.stateful_session.v3.StatefulSession":
                settings = errors.Unpack<StatefulSession>(config, path) is { } session ? SessionAffinityDecoder.Decode(session, path, errors) : null;
                return true;
            case "envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute":
                settings = errors.Unpack<StatefulSessionPerRoute>(config, path) is { } perRoute ? SessionAffinityDecoder.Decode(perRoute, path, errors) : null;
                return true;
            case "mesh.traffic.v1.InboundLimits" when inbound:
                settings = errors.Unpack<Protos.Traffic.InboundLimits>(config, path) is { } limits ? InboundLimitsDecoder.Decode(limits, path, errors) : null;
                return true;
            case "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit" when inbound:
                settings = errors.Unpack<LocalRateLimit>(config, path) is { } rate ? InboundLimitsDecoder.Decode(rate, path, errors) : null;
                return true;
            case "envoy.extensions.filters.http.rbac.v3.RBAC" when inbound && !isOverride:
                settings = errors.Unpack<RBAC>(config, path) is { } rbac ? RbacDecoder.Decode(rbac, path, errors) : null;
                return true;
            case "envoy.extensions.filters.http.rbac.v3.RBACPerRoute" when inbound && isOverride:
                settings = errors.Unpack<RBACPerRoute>(config, path) is { } route ? RbacDecoder.Decode(route, path, errors) : null;
                return true;
            case "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication" when inbound:
                settings = errors.Unpack<Protos.Envoy.JwtAuthn.JwtAuthentication>(config, path) is { } jwt ? JwtDecoder.Decode(jwt, path, errors) : null;
                return true;
            default:
                return false;
        }
    }
}
