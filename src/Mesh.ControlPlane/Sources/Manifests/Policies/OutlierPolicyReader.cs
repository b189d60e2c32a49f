using System.Collections.Immutable;
using System.Globalization;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads OutlierPolicy: when an endpoint sits out, from how its calls end and from probes.</summary>
internal static class OutlierPolicyReader
{
    public static readonly PolicyKind Kind = new("OutlierPolicy", PolicyKind.Services, Read);

    private static void Read(PolicyFields fields)
    {
        var spec = fields.Spec;
        fields.Integer(spec, "consecutiveFailures", OutlierSettings.ConsecutiveFailures, 0, 1_000_000);
        var first = fields.Time(spec, "baseEjectionTime", OutlierSettings.BaseEjectionTime);
        var longest = fields.Time(spec, "maxEjectionTime", OutlierSettings.MaxEjectionTime);
        PolicyFields.NotLonger(spec, "baseEjectionTime", first, "maxEjectionTime", longest);
        fields.Integer(spec, "maxEjectionPercent", OutlierSettings.MaxEjectionPercent, 0, 100);
        fields.Time(spec, "interval", OutlierSettings.Interval);
        if (spec.Map("successRate") is { } success)
        {
            Enforcement(fields, success, "successRate", OutlierSettings.SuccessRate);
            fields.Integer(success, "stdevFactor", OutlierSettings.SuccessRateStdevFactor, 0, 100_000);
            fields.Integer(success, "minimumHosts", OutlierSettings.SuccessRateMinimumHosts, 1, 100_000);
            fields.Integer(success, "requestVolume", OutlierSettings.SuccessRateRequestVolume, 1, 1_000_000);
            success.Close();
        }

        if (spec.Map("failurePercentage") is { } failure)
        {
            Enforcement(fields, failure, "failurePercentage", OutlierSettings.FailurePercentage);
            fields.Integer(failure, "threshold", OutlierSettings.FailureThreshold, 0, 100);
            fields.Integer(failure, "minimumHosts", OutlierSettings.FailureMinimumHosts, 1, 100_000);
            fields.Integer(failure, "requestVolume", OutlierSettings.FailureRequestVolume, 1, 1_000_000);
            failure.Close();
        }

        if (spec.Map("healthCheck") is { } check)
        {
            ReadCheck(fields, check);
        }
    }

    /// <summary>Naming the algorithm turns it on, wholly unless a share is given.</summary>
    private static void Enforcement(PolicyFields fields, YamlMap map, string name, Setting<int> setting)
    {
        if (map.Find("enforcementPercent") is null)
        {
            fields.Add(fields.Spec, name, setting, 100);
        }
        else
        {
            fields.Integer(map, "enforcementPercent", setting, 0, 100);
        }
    }

    private static void ReadCheck(PolicyFields fields, YamlMap check)
    {
        (string Field, HealthProbe Probe)[] probes =
        [
            .. check.Map("http") is { } http ? new[] { ("http", (HealthProbe)ReadHttp(http)) } : [],
            .. check.Map("grpc") is { } grpc ? new[] { ("grpc", (HealthProbe)ReadGrpc(grpc)) } : [],
            .. check.Map("tcp") is { } tcp ? new[] { ("tcp", Empty(tcp, new HealthProbe.Tcp())) } : [],
            .. check.Map("none") is { } none ? new[] { ("none", Empty(none, HealthProbe.Off)) } : [],
        ];
        if (probes is [var (field, probe)])
        {
            fields.Add(check, field, OutlierSettings.Probe, probe);
        }
        else if (probes.Length > 1)
        {
            check.Problems.Refuse(check.Node, $"{fields.Spec.Field("healthCheck")} has {string.Join(" and ", probes.Select(p => p.Field))}. Keep one of http, grpc, tcp and none.");
        }

        fields.Time(check, "interval", OutlierSettings.ProbeInterval);
        fields.Time(check, "timeout", OutlierSettings.ProbeTimeout);
        fields.Integer(check, "unhealthyThreshold", OutlierSettings.UnhealthyThreshold, 1, 100);
        fields.Integer(check, "healthyThreshold", OutlierSettings.HealthyThreshold, 1, 100);
        check.Close();
    }

    private static HealthProbe.Http ReadHttp(YamlMap http)
    {
        var path = http.Text("path", required: true) ?? "/";
        if (!path.StartsWith('/') || !Uri.IsWellFormedUriString(path, UriKind.Relative))
        {
            http.Bad("path", path, "Use a path that starts with '/', such as /healthz.");
        }

        var host = http.Text("host") ?? string.Empty;
        if (host.Length > 0 && !(Uri.TryCreate($"http://{host}/", UriKind.Absolute, out var uri) && uri.PathAndQuery == "/" && uri.UserInfo.Length == 0))
        {
            http.Bad("host", host, "Use a host name, with :port if need be.");
        }

        var statuses = ImmutableArray.CreateBuilder<(int, int)>();
        foreach (var (text, node, where) in http.Texts("statuses"))
        {
            var parts = text.Split('-');
            if (parts.Length <= 2 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first) && first is >= 100 and <= 599
                && int.TryParse(parts[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var last) && last >= first && last <= 599)
            {
                statuses.Add((first, last));
            }
            else
            {
                http.Problems.Refuse(node, $"{where} is '{text}'. Use a status or a range in quotes, such as \"200\" or \"200-399\".");
            }
        }

        http.Close();
        return new HealthProbe.Http(path, host, statuses.ToImmutable());
    }

    private static HealthProbe.Grpc ReadGrpc(YamlMap grpc)
    {
        var service = grpc.Text("service") ?? string.Empty;
        grpc.Close();
        return new HealthProbe.Grpc(service);
    }

    private static HealthProbe Empty(YamlMap map, HealthProbe probe)
    {
        map.Close();
        return probe;
    }
}
