using System.Diagnostics;
using Mesh.Inbound;
using Mesh.Policy;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Mesh.Server;

/// <summary>Judges requests by the rules in force and tells everybody who wants to know: the graph, the span, the log, and callers of the mesh if the operator wants that. Thread-safe.</summary>
/// <remarks>An allowed request costs the decision alone. Why a request was denied is worked out only when somebody is told.</remarks>
internal sealed partial class InboundAuthorization(MeshGate gate, InboundCounters counters, RefusalLog refusals, InboundTap tap, ILogger<InboundAuthorization> logger)
{
    /// <summary>Tells callers of the mesh which rule denied them, or what the nearest one wants.</summary>
    public const string Header = "mesh-policy";

    private const int LongestHeader = 256;

    /// <param name="claims">What verified tokens say.</param>
    /// <returns>False when it is denied; the answer is the caller's to write.</returns>
    public bool Allows(HttpContext context, MeshConnectionFeature connection, Authorizer authorizer, VerifiedClaims claims)
    {
        var head = authorizer.NeedsHead ? connection.TakeHead(context.Request) : null;
        var engine = authorizer.For(head, gate.Chance);
        var request = new RbacRequest(head, Facts(context, connection), claims);
        var span = Activity.Current is { } current && ServerSpans.SomebodyReads(current) ? current : null;
        if (engine.HasShadow)
        {
            Audit(context, connection, engine, request, span);
        }

        var decision = engine.Decide(request);
        if (decision.IsAllowed)
        {
            counters.Allowed(decision.Rule);
            if (decision.Stage != PolicyStage.None)
            {
                span?.SetTag(MeshTags.PolicyDecision, "allow");
                span?.SetTag(MeshTags.PolicyRule, decision.Rule);
            }
        }
        else
        {
            Deny(context, connection, engine, request, decision, span);
        }

        connection.GiveBack(head);
        return decision.IsAllowed;
    }

    private void Deny(HttpContext context, MeshConnectionFeature connection, RbacEngine engine, in RbacRequest request, PolicyDecision decision, Activity? span)
    {
        var reason = counters.Denied(decision.Rule);
        var tellsCaller = gate.ExplainsDenials && connection.Peer is not null;
        var isDue = refusals.IsDue($"{Decisions.Authorization}/{reason}", out var count);
        var caller = connection.CallerOf(context);
        var isShown = tap.Denied(caller, decision.Rule ?? string.Empty, audit: false);
        if (!tellsCaller && !isDue && !isShown && span is null)
        {
            return;
        }

        var explanation = engine.Explain(request);
        if (isShown)
        {
            tap.Show(context, caller, decision.Rule ?? string.Empty, audit: false, Nearest(explanation));
        }

        span?.SetTag(MeshTags.PolicyDecision, "deny");
        if (decision.Rule is not null)
        {
            span?.SetTag(MeshTags.PolicyRule, decision.Rule);
        }
        else if (explanation.Nearest.Count > 0)
        {
            span?.SetTag(MeshTags.PolicyNearest, string.Join("; ", explanation.Nearest));
        }

        if (isDue)
        {
            Log.Denied(logger, count, RbacWords.Line(context.Request.Method), RbacWords.Line(context.Request.Path.Value ?? string.Empty), Caller(connection, request), explanation);
        }

        if (tellsCaller)
        {
            context.Response.Headers[Header] = RbacWords.Line(explanation.Summary, LongestHeader);
        }
    }

    private void Audit(HttpContext context, MeshConnectionFeature connection, RbacEngine engine, in RbacRequest request, Activity? span)
    {
        var decision = engine.DecideShadow(request);
        span?.SetTag(MeshTags.PolicyAudit, decision.IsAllowed ? "allow" : "deny");
        var reason = counters.Audited(decision.IsAllowed, decision.Rule);
        if (!decision.IsAllowed && connection.CallerOf(context) is var caller && tap.Denied(caller, decision.Rule ?? string.Empty, audit: true))
        {
            tap.Show(context, caller, decision.Rule ?? string.Empty, audit: true, Nearest(engine.ExplainShadow(request)));
        }

        if (!decision.IsAllowed && refusals.IsDue($"{Decisions.Audit}/{reason}", out var count))
        {
            Log.WouldBeDenied(
                logger, count, RbacWords.Line(context.Request.Method), RbacWords.Line(context.Request.Path.Value ?? string.Empty), Caller(connection, request), engine.ExplainShadow(request));
        }
    }

    /// <summary>Found at the connection's first judged request.</summary>
    private static RbacConnection Facts(HttpContext context, MeshConnectionFeature connection) => connection.Facts ??= Facts(
        connection, context.Connection.RemoteIpAddress, context.Connection.LocalIpAddress is { } local ? new(local, context.Connection.LocalPort) : null);

    public static RbacConnection Facts(MeshConnectionFeature connection, System.Net.IPAddress? source, System.Net.IPEndPoint? destination) =>
        new(connection.Peer is { } peer ? new RbacCaller(peer.Id) : null, source, destination);

    private static string Nearest(PolicyExplanation explanation) => explanation.Nearest.Count == 0 ? string.Empty : explanation.Nearest[0].ToString();

    private static string Caller(MeshConnectionFeature connection, in RbacRequest request) => connection.Peer?.Id.ToString() ?? request.Connection.Source.ToString();
}
