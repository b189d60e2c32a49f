using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Cluster;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Type;

namespace Mesh.ControlPlane.Translation;

// Here, for Mesh.ControlPlane.Cluster is a room.
using Cluster = Mesh.Protos.Envoy.Cluster.Cluster;

/// <summary>Writes when endpoints of a cluster sit out, and how they are probed.</summary>
internal static class OutlierTranslator
{
    public static void Apply(Cluster cluster, EffectiveSettings settings, bool mesh)
    {
        var consecutive = settings.Get(OutlierSettings.ConsecutiveFailures);
        var success = settings.Get(OutlierSettings.SuccessRate);
        var failure = settings.Get(OutlierSettings.FailurePercentage);
        // gRPC peers ignore consecutive_5xx: without the others there is nothing for them.
        if (success > 0 || failure > 0 || (mesh && consecutive > 0))
        {
            cluster.OutlierDetection = Detection(settings, consecutive, success, failure);
        }

        if (settings.Get(OutlierSettings.Probe) is not HealthProbe.None and var probe)
        {
            cluster.HealthChecks.Add(Check(settings, probe));
        }
    }

    private static OutlierDetection Detection(EffectiveSettings settings, int consecutive, int success, int failure)
    {
        var first = settings.Get(OutlierSettings.BaseEjectionTime);
        var longest = settings.Get(OutlierSettings.MaxEjectionTime);
        var detection = new OutlierDetection
        {
            BaseEjectionTime = Duration.FromTimeSpan(first),
            MaxEjectionTime = Duration.FromTimeSpan(longest < first ? first : longest),
            MaxEjectionPercent = (uint)settings.Get(OutlierSettings.MaxEjectionPercent),
            // Said always: unset is 100 (gRFC A50).
            EnforcingSuccessRate = (uint)success,
        };
        if (consecutive > 0)
        {
            detection.Consecutive5Xx = (uint)consecutive;
        }
        else
        {
            detection.EnforcingConsecutive5Xx = 0;
        }

        if (success > 0 || failure > 0 || settings.IsSet(OutlierSettings.Interval))
        {
            detection.Interval = Duration.FromTimeSpan(settings.Get(OutlierSettings.Interval));
        }

        if (success > 0)
        {
            detection.SuccessRateStdevFactor = (uint)settings.Get(OutlierSettings.SuccessRateStdevFactor);
            detection.SuccessRateMinimumHosts = (uint)settings.Get(OutlierSettings.SuccessRateMinimumHosts);
            detection.SuccessRateRequestVolume = (uint)settings.Get(OutlierSettings.SuccessRateRequestVolume);
        }

        if (failure > 0)
        {
            detection.EnforcingFailurePercentage = (uint)failure;
            detection.FailurePercentageThreshold = (uint)settings.Get(OutlierSettings.FailureThreshold);
            detection.FailurePercentageMinimumHosts = (uint)settings.Get(OutlierSettings.FailureMinimumHosts);
            detection.FailurePercentageRequestVolume = (uint)settings.Get(OutlierSettings.FailureRequestVolume);
        }

        return detection;
    }

    private static HealthCheck Check(EffectiveSettings settings, HealthProbe probe)
    {
        var check = new HealthCheck
        {
            Interval = Duration.FromTimeSpan(settings.Get(OutlierSettings.ProbeInterval)),
            Timeout = Duration.FromTimeSpan(settings.Get(OutlierSettings.ProbeTimeout)),
            UnhealthyThreshold = (uint)settings.Get(OutlierSettings.UnhealthyThreshold),
            HealthyThreshold = (uint)settings.Get(OutlierSettings.HealthyThreshold),
        };
        switch (probe)
        {
            case HealthProbe.Http http:
                check.HttpHealthCheck = new HealthCheck.Types.HttpHealthCheck { Path = http.Path, Host = http.Host };
                // On the wire the end is excluded.
                check.HttpHealthCheck.ExpectedStatuses.AddRange(http.Statuses.Select(s => new Int64Range { Start = s.First, End = s.Last + 1 }));
                break;
            case HealthProbe.Grpc grpc:
                check.GrpcHealthCheck = new HealthCheck.Types.GrpcHealthCheck { ServiceName = grpc.Service };
                break;
            default:
                check.TcpHealthCheck = new HealthCheck.Types.TcpHealthCheck();
                break;
        }

        return check;
    }
}
