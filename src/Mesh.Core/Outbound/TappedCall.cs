using System.Diagnostics;
using System.Net.Http.Headers;
using Mesh.Resilience;
using Mesh.Tap;

namespace Mesh.Outbound;

/// <summary>Shows a call to those who tap: when it has ended, and while it goes on for long.</summary>
internal static class TappedCall
{
    /// <summary>A call begins while somebody looks.</summary>
    public static void Begin(TapPoint point, ActiveTap[] taps, OutboundCall call)
    {
        if (point.Follows(taps, FactsOf(call, 0, -1, failed: false, TimeSpan.Zero)))
        {
            point.Follow(call.Open = new OpenCall(call));
        }
    }

    /// <summary>Never throws: a call does not fail because somebody looks.</summary>
    /// <param name="response">Null when there is none.</param>
    public static void Show(TapPoint point, ActiveTap[] taps, OutboundCall call, AttemptResult result, int status, TimeSpan latency, string? error, HttpResponseMessage? response)
    {
        var facts = FactsOf(call, status, result.GrpcStatus, result.IsFailure, latency);
        var now = point.Time.GetTimestamp();
        foreach (var tap in taps)
        {
            var stream = call.Open?.NumberFor(tap) ?? 0;
            if (!tap.Wants(facts, now, wasOpen: stream > 0))
            {
                continue;
            }

            try
            {
                point.Offer(tap, Copy(point, tap, call, facts, error, response, call.Activity ?? Activity.Current) with { Stream = stream });
            }
            catch (Exception e) when (e is InvalidOperationException or ArgumentException or NullReferenceException or IndexOutOfRangeException)
            {
                // The app changes its request's headers at this moment: they are its own, and no lock guards them.
                tap.Drop();
            }
        }
    }

    private static TapFacts FactsOf(OutboundCall call, int status, int grpcStatus, bool failed, TimeSpan latency)
    {
        var (request, destination) = (call.Request, call.Listener.Destination);
        return new TapFacts(
            Server: false, destination?.Service ?? request.RequestUri!.Host, destination?.Namespace ?? string.Empty, request.Method.Method, request.RequestUri!.AbsolutePath,
            status, grpcStatus, failed, latency);
    }

    private static TapExchange Copy(TapPoint point, ActiveTap tap, OutboundCall call, in TapFacts facts, string? error, HttpResponseMessage? response, Activity? span)
    {
        var exchange = new TapExchange(Server: false, point.Time.GetUtcNow() - facts.Latency, facts.Latency)
        {
            PeerName = TapText.Of(facts.PeerName),
            PeerNamespace = TapText.Of(facts.PeerNamespace),
            PeerIdentity = call.Endpoint?.Config.SpiffeId?.ToString() ?? string.Empty,
            Endpoint = call.Endpoint?.Config.HostPort ?? string.Empty,
            Method = TapText.Of(facts.Method, 32),
            Authority = TapText.Of(call.Request.Headers.Host ?? call.Request.RequestUri!.Authority),
            Path = TapText.Of(facts.Path),
            Route = TapText.Of(call.Route?.Config.Name),
            Status = facts.Status,
            GrpcStatus = facts.GrpcStatus,
            // The mesh's own word says more than the status.
            Error = TapText.Of(response is not null && response.Headers.NonValidated.TryGetValues(OutboundErrors.Header, out var own) ? own.ToString() : error),
            Failed = facts.Failed,
            Attempts = call.Attempts,
            MeshTls = call.LastWasMesh,
            TraceId = span?.TraceId.ToHexString() ?? string.Empty,
        };
        var wanted = tap.Settings.Headers;
        var text = 0;
        Take(call.Request.Headers.NonValidated, exchange.RequestHeaders, ref text, wanted);
        if (call.Request.Content is { } content)
        {
            Take(content.Headers.NonValidated, exchange.RequestHeaders, ref text, wanted);
        }

        text = 0;
        if (response is not null)
        {
            Take(response.Headers.NonValidated, exchange.ResponseHeaders, ref text, wanted);
            Take(response.Content.Headers.NonValidated, exchange.ResponseHeaders, ref text, wanted);
        }

        return exchange;

        static void Take(HttpHeadersNonValidated from, Dictionary<string, string> into, ref int text, System.Collections.Frozen.FrozenSet<string> wanted)
        {
            foreach (var (name, value) in from)
            {
                TapHeaders.Take(into, ref text, wanted, name, value.ToString());
            }
        }
    }

    private sealed class OpenCall(OutboundCall call) : OpenExchange(call.Start)
    {
        private readonly Activity? _span = call.Activity ?? Activity.Current;

        protected override TapFacts Facts(TimeSpan latency) => FactsOf(call, (int)(call.Body?.Given?.StatusCode ?? 0), -1, failed: false, latency);

        protected override TapExchange Copy(TapPoint point, ActiveTap tap, in TapFacts facts) => TappedCall.Copy(point, tap, call, facts, null, call.Body?.Given, _span);
    }
}
