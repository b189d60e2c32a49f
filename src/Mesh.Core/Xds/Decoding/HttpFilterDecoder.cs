using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.Route;

namespace Mesh.Xds.Decoding;

/// <summary>The filters of a listener and their overrides (gRFC A39). Only the router does something here yet.</summary>
internal static class HttpFilterDecoder
{
    /// <summary>Control planes put this filter everywhere with nothing in it; one that injects something is refused.</summary>
    private const string Fault = "envoy.extensions.filters.http.fault.v3.HTTPFault";

    public static void Check(Google.Protobuf.Collections.RepeatedField<HttpFilter> filters, string path, DecodeErrors errors)
    {
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
            else if (DoesNothing(filter.TypedConfig))
            {
                last = i;
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
    }

    /// <summary>An override for a filter that is not there does not matter; one of an unknown type does, unless it is optional.</summary>
    public static void CheckOverrides(Google.Protobuf.Collections.MapField<string, Any> overrides, string path, DecodeErrors errors)
    {
        foreach (var (name, given) in overrides)
        {
            var here = $"{path}.typed_per_filter_config[\"{name}\"]";
            var (config, optional) = (given, false);
            if (given.Is(FilterConfig.Descriptor))
            {
                if (errors.Unpack<FilterConfig>(given, here) is not { } wrapped)
                {
                    continue;
                }

                (config, optional) = (wrapped.Config, wrapped.IsOptional || wrapped.Disabled);
            }

            if (!optional && !DoesNothing(config))
            {
                errors.Add(here, $"has the type '{config?.TypeUrl}', which is not known here", "Wrap it in a FilterConfig with is_optional, or leave it out.");
            }
        }
    }

    private static bool DoesNothing(Any? config)
    {
        if (config is null || Any.GetTypeName(config.TypeUrl) != Fault)
        {
            return false;
        }

        try
        {
            // 1 delay, 2 abort, 7 response_rate_limit: the fields that make the filter do something.
            var input = new CodedInputStream(config.Value.ToByteArray());
            for (uint tag; (tag = input.ReadTag()) != 0; input.SkipLastField())
            {
                if (WireFormat.GetTagFieldNumber(tag) is 1 or 2 or 7)
                {
                    return false;
                }
            }

            return true;
        }
        catch (Exception e) when (DecodeErrors.IsBadBytes(e))
        {
            return false;
        }
    }
}
