using Google.Protobuf.Collections;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Route;
using Wire = Mesh.Protos.Traffic;

namespace Mesh.Xds.Decoding;

/// <summary>What our control plane says of a route beyond xDS. It travels among the route's filter overrides, where other clients skip it.</summary>
internal static class RoutePolicyDecoder
{
    /// <summary>Its name among the overrides: no filter has it.</summary>
    public const string Key = XdsTypes.MetadataKey + ".route";

    /// <returns>All null when there is none.</returns>
    public static RoutePolicy Decode(MapField<string, Any> overrides, string path, DecodeErrors errors)
    {
        if (!overrides.TryGetValue(Key, out var given))
        {
            return default;
        }

        path = $"{path}.typed_per_filter_config[\"{Key}\"]";
        var optional = false;
        if (given.Is(FilterConfig.Descriptor))
        {
            if (errors.Unpack<FilterConfig>(given, path) is not { Disabled: false, Config: { } config } wrapped)
            {
                return default;
            }

            (given, optional) = (config, wrapped.IsOptional);
        }

        if ((optional && !given.Is(Wire.RoutePolicy.Descriptor)) || errors.Unpack<Wire.RoutePolicy>(given, path) is not { } policy)
        {
            return default;
        }

        var headers = errors.Time(policy.ResponseHeadersTimeout, $"{path}.response_headers_timeout");
        return new RoutePolicy(
            policy.Hedging is null ? null : Hedging(policy.Hedging, $"{path}.hedging", errors),
            headers > TimeSpan.Zero ? headers : null,
            policy.FaultExpiresAt is null ? null : Moment(policy.FaultExpiresAt, $"{path}.fault_expires_at", errors));
    }

    private static Hedging Hedging(Wire.Hedging given, string path, DecodeErrors errors)
    {
        if (given.Percentile is not 0 and not (>= 50 and <= 99))
        {
            errors.Add($"{path}.percentile", $"is {given.Percentile}", "Use 50–99, or 0 to go by delay alone.");
        }

        var delay = errors.Time(given.Delay, $"{path}.delay") ?? TimeSpan.Zero;
        if (delay == TimeSpan.Zero && given.Percentile == 0)
        {
            errors.Add($"{path}.delay", "is not set", "Give the waiting time, or a percentile.");
        }

        if (given.MaxAttempts is < 2 or > 4)
        {
            errors.Add($"{path}.max_attempts", $"is {given.MaxAttempts}", "Use 2–4: the first attempt counts.");
        }

        return new Hedging((int)Math.Min(given.Percentile, 99), delay, (int)Math.Clamp(given.MaxAttempts, 2, 4));
    }

    private static DateTimeOffset? Moment(Timestamp given, string path, DecodeErrors errors)
    {
        // 0001-01-01 to 9999-12-31, as google.protobuf.Timestamp promises; ToDateTimeOffset would throw.
        if (given.Seconds is < -62_135_596_800 or > 253_402_300_799 || given.Nanos is < 0 or > 999_999_999)
        {
            errors.Add(path, $"is {given.Seconds} s and {given.Nanos} ns", "Use a moment of the years 1–9999, nanos 0–999,999,999.");
            return null;
        }

        return DateTimeOffset.UnixEpoch.AddTicks((given.Seconds * TimeSpan.TicksPerSecond) + (given.Nanos / 100));
    }
}

/// <summary>What <see cref="RoutePolicyDecoder"/> found.</summary>
/// <param name="FaultExpiresAt">After this moment the route's fault injection does nothing.</param>
internal readonly record struct RoutePolicy(Hedging? Hedging, TimeSpan? ResponseHeadersTimeout, DateTimeOffset? FaultExpiresAt);
