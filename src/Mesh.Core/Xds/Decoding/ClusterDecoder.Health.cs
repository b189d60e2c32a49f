using Google.Protobuf.Collections;
using Mesh.Config;
using HealthCheck = Mesh.Config.HealthCheck;
using Wire = Mesh.Protos.Envoy.Core.HealthCheck;

namespace Mesh.Xds.Decoding;

/// <summary>How endpoints are probed. gRPC peers do not look at it.</summary>
internal static partial class ClusterDecoder
{
    private static HealthCheck? Health(RepeatedField<Wire> given, DecodeErrors errors)
    {
        if (given.Count == 0)
        {
            return null;
        }

        if (given.Count > 1)
        {
            errors.Add("health_checks", $"has {given.Count} entries", "Use one: an endpoint has one health.");
            return null;
        }

        const string Path = "health_checks[0]";
        var check = given[0];
        var probe = Probe(check, Path, errors);
        var interval = Positive(errors.Time(check.Interval, $"{Path}.interval"), 10, $"{Path}.interval", errors);
        var timeout = Positive(errors.Time(check.Timeout, $"{Path}.timeout"), 1, $"{Path}.timeout", errors);
        var unhealthy = AtLeastOne(check.UnhealthyThreshold, 3, $"{Path}.unhealthy_threshold", errors);
        var healthy = AtLeastOne(check.HealthyThreshold, 2, $"{Path}.healthy_threshold", errors);
        return probe is null ? null : new HealthCheck(probe, interval, timeout, unhealthy, healthy);
    }

    private static HealthProbe? Probe(Wire check, string path, DecodeErrors errors)
    {
        switch (check.HealthCheckerCase)
        {
            case Wire.HealthCheckerOneofCase.HttpHealthCheck:
                var http = check.HttpHealthCheck;
                if (!http.Path.StartsWith('/') || !Uri.IsWellFormedUriString(http.Path, UriKind.Relative))
                {
                    errors.Add($"{path}.http_health_check.path", $"is '{http.Path}'", "Use a path that begins with '/', such as /healthz.");
                }

                var statuses = new List<(int, int)>(http.ExpectedStatuses.Count);
                for (var i = 0; i < http.ExpectedStatuses.Count; i++)
                {
                    var range = http.ExpectedStatuses[i];
                    if (range.Start < 100 || range.End > 600 || range.Start >= range.End)
                    {
                        errors.Add($"{path}.http_health_check.expected_statuses[{i}]", $"is {range.Start}–{range.End}", "Use a start of 100–599 and an end above it, at most 600; the end itself is not in the range.");
                        continue;
                    }

                    statuses.Add(((int)range.Start, (int)range.End));
                }

                return new HealthProbe.Http(http.Path, Host(http.Host, $"{path}.http_health_check.host", errors), statuses);
            case Wire.HealthCheckerOneofCase.GrpcHealthCheck:
                return new HealthProbe.Grpc(check.GrpcHealthCheck.ServiceName);
            case Wire.HealthCheckerOneofCase.TcpHealthCheck:
                return new HealthProbe.Tcp();
            default:
                errors.Add($"{path}.health_checker", "is not set, or not known here", "Use http_health_check, grpc_health_check or tcp_health_check.");
                return null;
        }
    }

    private static string? Host(string host, string path, DecodeErrors errors)
    {
        if (host.Length > 0 && !(Uri.TryCreate($"http://{host}/", UriKind.Absolute, out var uri) && uri.PathAndQuery == "/" && uri.UserInfo.Length == 0))
        {
            errors.Add(path, $"is '{host}'", "Use a host name, with :port if need be.");
        }

        return host.Length == 0 ? null : host;
    }

    private static TimeSpan Positive(TimeSpan? given, int defaultSeconds, string path, DecodeErrors errors)
    {
        if (given == TimeSpan.Zero)
        {
            errors.Add(path, "is 0", $"Use more than 0, or leave it out for {defaultSeconds} s.");
        }

        return given ?? TimeSpan.FromSeconds(defaultSeconds);
    }

    private static int AtLeastOne(uint? given, int absent, string path, DecodeErrors errors)
    {
        if (given == 0)
        {
            errors.Add(path, "is 0", $"Use 1 or more, or leave it out for {absent}.");
        }

        return Count(given, absent);
    }
}
