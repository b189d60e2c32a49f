using Mesh.Config;
using Mesh.Protos.Envoy.CommonFault;
using Mesh.Protos.Envoy.Filters;
using Mesh.Traffic;

namespace Mesh.Xds.Decoding;

/// <summary>Fault injection (gRFC A33).</summary>
internal static class FaultDecoder
{
    /// <returns>Also when it does nothing: a filter without settings takes the overrides of routes.</returns>
    public static FaultInjection Decode(HTTPFault given, string path, DecodeErrors errors)
    {
        var headers = new List<HeaderMatcher>(given.Headers.Count);
        for (var i = 0; i < given.Headers.Count; i++)
        {
            if (MatcherDecoder.Header(given.Headers[i], $"{path}.headers[{i}]", errors) is { } header)
            {
                headers.Add(header);
            }
        }

        var abort = given.Abort;
        if (abort is { ErrorTypeCase: FaultAbort.ErrorTypeOneofCase.HttpStatus, HttpStatus: < 200 or > 599 })
        {
            errors.Add($"{path}.abort.http_status", $"is {abort.HttpStatus}", "Use 200–599.");
        }

        if (abort is { ErrorTypeCase: FaultAbort.ErrorTypeOneofCase.GrpcStatus, GrpcStatus: > 16 })
        {
            errors.Add($"{path}.abort.grpc_status", $"is {abort.GrpcStatus}", "Use 0–16.");
        }

        return new FaultInjection
        {
            Delay = errors.Time(given.Delay?.FixedDelay, $"{path}.delay.fixed_delay"),
            DelayByHeader = given.Delay?.FaultDelaySecifierCase == FaultDelay.FaultDelaySecifierOneofCase.HeaderDelay,
            DelayPerMillion = FractionDecoder.PerMillion(given.Delay?.Percentage, $"{path}.delay.percentage", errors),
            DelayUnitPerMillion = FractionDecoder.Unit(given.Delay?.Percentage),
            AbortHttpStatus = abort?.ErrorTypeCase == FaultAbort.ErrorTypeOneofCase.HttpStatus ? (int)Math.Min(abort.HttpStatus, 599) : null,
            AbortGrpcStatus = abort?.ErrorTypeCase == FaultAbort.ErrorTypeOneofCase.GrpcStatus ? (int)Math.Min(abort.GrpcStatus, 16) : null,
            AbortByHeader = abort?.ErrorTypeCase == FaultAbort.ErrorTypeOneofCase.HeaderAbort,
            AbortPerMillion = FractionDecoder.PerMillion(abort?.Percentage, $"{path}.abort.percentage", errors),
            AbortUnitPerMillion = FractionDecoder.Unit(abort?.Percentage),
            Headers = headers,
            MaxActive = given.MaxActiveFaults is { } most ? (int)Math.Min(most, int.MaxValue) : null,
        };
    }
}
