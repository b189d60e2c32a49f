using Mesh.Config;
using Wire = Mesh.Protos.Envoy.Cluster;

namespace Mesh.Xds.Decoding;

/// <summary>When endpoints sit out (gRFC A50).</summary>
internal static partial class ClusterDecoder
{
    /// <summary>Absent is none; empty is success rate with its defaults, and Envoy's failures in a row.</summary>
    private static OutlierDetection? Outliers(Wire.OutlierDetection? given, DecodeErrors errors)
    {
        if (given is null)
        {
            return null;
        }

        const string Path = "outlier_detection";
        var enforceRow = errors.Percent(given.EnforcingConsecutive5Xx, 100, $"{Path}.enforcing_consecutive_5xx");
        var enforceRate = errors.Percent(given.EnforcingSuccessRate, 100, $"{Path}.enforcing_success_rate");
        // gRFC A50: off unless it is asked for.
        var enforceFailures = errors.Percent(given.EnforcingFailurePercentage, 0, $"{Path}.enforcing_failure_percentage");
        var threshold = errors.Percent(given.FailurePercentageThreshold, 85, $"{Path}.failure_percentage_threshold");
        var first = errors.Time(given.BaseEjectionTime, $"{Path}.base_ejection_time") ?? TimeSpan.FromSeconds(30);
        var longest = errors.Time(given.MaxEjectionTime, $"{Path}.max_ejection_time") ?? TimeSpan.FromSeconds(300);
        var interval = errors.Time(given.Interval, $"{Path}.interval") ?? TimeSpan.FromSeconds(10);
        if (interval == TimeSpan.Zero)
        {
            errors.Add($"{Path}.interval", "is 0", "Use more than 0, or leave it out for 10 s.");
        }

        return new OutlierDetection(
            enforceRow == 0 ? 0 : Count(given.Consecutive5Xx, 5), first, longest < first ? first : longest, errors.Percent(given.MaxEjectionPercent, 10, $"{Path}.max_ejection_percent"))
        {
            Interval = interval,
            SuccessRate = enforceRate == 0 ? null : new(
                Count(given.SuccessRateStdevFactor, 1900), enforceRate, Count(given.SuccessRateMinimumHosts, 5), Count(given.SuccessRateRequestVolume, 100)),
            FailurePercentage = enforceFailures == 0 ? null : new(
                threshold, enforceFailures, Count(given.FailurePercentageMinimumHosts, 5), Count(given.FailurePercentageRequestVolume, 50)),
        };
    }

    private static int Count(uint? given, int absent) => (int)Math.Min(given ?? (uint)absent, int.MaxValue);
}
