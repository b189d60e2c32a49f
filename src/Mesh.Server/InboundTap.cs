using System.Collections.Frozen;
using System.Diagnostics;
using System.Globalization;
using Mesh.Outbound;
using Mesh.Tap;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;

namespace Mesh.Server;

/// <summary>Shows requests that were served to those who tap, and refused ones to the control plane. Thread-safe.</summary>
internal sealed class InboundTap(TapPoint point, DenialReports denials)
{
    /// <summary>What stands in place of a rule where none was asked: see <see cref="Refused"/>.</summary>
    public const string PlaintextRule = "plaintext";

    /// <summary>Null while nobody looks.</summary>
    public ActiveTap[]? Taps => point.Taps;

    /// <summary>A request begins while somebody looks. What it gives is to be ended with the request; null: nobody wants to see it while it goes on.</summary>
    public OpenExchange? Begin(ActiveTap[] taps, HttpContext context, MeshConnectionFeature connection)
    {
        if (!point.Follows(taps, FactsOf(context, connection, 0, -1, failed: false, TimeSpan.Zero)))
        {
            return null;
        }

        var open = new OpenRequest(point.Time.GetTimestamp(), this, context, connection);
        context.Features.Set<OpenExchange>(open);
        point.Follow(open);
        return open;
    }

    /// <summary>Never throws: a request does not fail because somebody looks.</summary>
    /// <param name="threw">The app ended with an exception.</param>
    public void Show(ActiveTap[] taps, HttpContext context, MeshConnectionFeature connection, bool success, bool threw, TimeSpan latency)
    {
        var open = context.Features.Get<OpenExchange>();
        open?.End();
        var response = context.Response;
        // What Kestrel makes of an exception.
        var status = threw && !response.HasStarted ? StatusCodes.Status500InternalServerError : response.StatusCode;
        var grpc = int.TryParse(InboundOutcome.GrpcStatus(context), NumberStyles.None, CultureInfo.InvariantCulture, out var code) ? code : -1;
        var facts = FactsOf(context, connection, status, grpc, !success, latency);
        var now = point.Time.GetTimestamp();
        foreach (var tap in taps)
        {
            var stream = open?.NumberFor(tap) ?? 0;
            if (tap.Wants(facts, now, wasOpen: stream > 0))
            {
                point.Offer(tap, Copy(tap, context, connection, facts, threw, answered: true) with { Stream = stream });
            }
        }
    }

    /// <summary>A request was refused by something that asks no rules. At most one per caller and reason is shown each second.</summary>
    /// <param name="rule">What stands for the rule, such as <see cref="PlaintextRule"/>.</param>
    public void Refused(HttpContext context, MeshConnectionFeature connection, string rule, string why)
    {
        var caller = connection.CallerOf(context);
        if (denials.Count(caller, rule, audit: false))
        {
            Show(context, caller, rule, audit: false, why);
        }
    }

    /// <summary>Counts a request that rules denied, or would have. True: it is the first of its kind for a while, and an example is wanted.</summary>
    public bool Denied(string caller, string rule, bool audit) => denials.Count(caller, rule, audit);

    /// <param name="nearest">The rule that came nearest, and what was missing.</param>
    public void Show(HttpContext context, string caller, string rule, bool audit, string nearest) =>
        denials.Show(caller, rule, audit, context.Request.Method, context.Request.PathBase + context.Request.Path, nearest);

    private static TapFacts FactsOf(HttpContext context, MeshConnectionFeature connection, int status, int grpcStatus, bool failed, TimeSpan latency)
    {
        var peer = connection.Peer?.Id;
        return new TapFacts(
            Server: true, peer is null ? MeshTags.Unmeshed : peer.ServiceAccount ?? peer.ToString(), peer?.Namespace ?? string.Empty, context.Request.Method,
            context.Request.PathBase + context.Request.Path, status, grpcStatus, failed, latency);
    }

    /// <param name="answered">There is an answer to be read.</param>
    private TapExchange Copy(ActiveTap tap, HttpContext context, MeshConnectionFeature connection, in TapFacts facts, bool threw, bool answered)
    {
        var exchange = new TapExchange(Server: true, point.Time.GetUtcNow() - facts.Latency, facts.Latency)
        {
            PeerName = TapText.Of(facts.PeerName),
            PeerNamespace = TapText.Of(facts.PeerNamespace),
            PeerIdentity = connection.Peer?.Id.ToString() ?? TapText.Of(connection.CallerOf(context)),
            Endpoint = connection.Endpoint,
            Method = TapText.Of(facts.Method, 32),
            Authority = TapText.Of(context.Request.Host.Value),
            Path = TapText.Of(facts.Path),
            Route = TapText.Of((context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText),
            Status = facts.Status,
            GrpcStatus = facts.GrpcStatus,
            Error = threw ? "exception" : !answered ? string.Empty : TapText.Of(context.Response.Headers[OutboundErrors.Header].ToString()),
            Failed = facts.Failed,
            MeshTls = connection.IsMeshTls,
            TraceId = (context.Features.Get<IHttpActivityFeature>()?.Activity ?? Activity.Current)?.TraceId.ToHexString() ?? string.Empty,
        };
        Take(context.Request.Headers, exchange.RequestHeaders, tap.Settings.Headers);
        if (answered)
        {
            Take(context.Response.Headers, exchange.ResponseHeaders, tap.Settings.Headers);
        }

        return exchange;
    }

    private static void Take(IHeaderDictionary from, Dictionary<string, string> into, FrozenSet<string> wanted)
    {
        var text = 0;
        foreach (var (name, values) in from)
        {
            TapHeaders.Take(into, ref text, wanted, name, values.ToString());
        }
    }

    private sealed class OpenRequest(long start, InboundTap tap, HttpContext context, MeshConnectionFeature connection) : OpenExchange(start)
    {
        protected override TapFacts Facts(TimeSpan latency) => FactsOf(context, connection, context.Response.HasStarted ? context.Response.StatusCode : 0, -1, failed: false, latency);

        // Headers of an answer that has not begun are the app's to write.
        protected override TapExchange Copy(TapPoint point, ActiveTap to, in TapFacts facts) => tap.Copy(to, context, connection, facts, threw: false, answered: facts.Status > 0);
    }
}
