using Mesh.Config;
using Mesh.Protos.Envoy.LoadBalancing;

namespace Mesh.Xds.Decoding;

/// <summary>How weights are made of load reports (gRFC A58).</summary>
internal static class WeightedRoundRobinDecoder
{
    private static readonly TimeSpan LeastUpdatePeriod = TimeSpan.FromMilliseconds(100);

    public static WeightedRoundRobin Decode(ClientSideWeightedRoundRobin given, string path, DecodeErrors errors)
    {
        var absent = WeightedRoundRobin.Default;
        var penalty = given.ErrorUtilizationPenalty ?? (float)absent.ErrorPenalty;
        if (!(penalty >= 0 && float.IsFinite(penalty)))
        {
            errors.Add($"{path}.error_utilization_penalty", $"is {penalty}", "Use 0 or more, or leave it out for 1.");
        }

        var period = errors.Time(given.WeightUpdatePeriod, $"{path}.weight_update_period") ?? absent.UpdatePeriod;
        return new WeightedRoundRobin(
            given.EnableOobLoadReport ?? absent.OutOfBand,
            errors.Time(given.OobReportingPeriod, $"{path}.oob_reporting_period") ?? absent.OutOfBandPeriod,
            errors.Time(given.BlackoutPeriod, $"{path}.blackout_period") ?? absent.Blackout,
            errors.Time(given.WeightExpirationPeriod, $"{path}.weight_expiration_period") ?? absent.Expiration,
            period < LeastUpdatePeriod ? LeastUpdatePeriod : period,
            penalty,
            [.. given.MetricNamesForComputingUtilization]);
    }
}
