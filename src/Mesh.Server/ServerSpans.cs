using System.Diagnostics;
using System.Globalization;
using Mesh.Telemetry;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;

namespace Mesh.Server;

/// <summary>The one span of a request served: the host's own, to which the mesh adds what it knows; only where the host makes none (a proxy), one of ours. Thread-safe.</summary>
/// <remarks>Where the app has a tracer, that one decides which requests are traced. Where it has none, the host's span is there for the log's sake, and the recorder decides.</remarks>
internal sealed class ServerSpans(SpanRecorder recorder)
{
    /// <summary>Of a span of ours.</summary>
    public const string OwnSpan = "mesh.server";

    private static readonly ActivitySource HostSource = new("Microsoft.AspNetCore");

    /// <returns>What <see cref="End"/> wants.</returns>
    public ServerSpan Begin(HttpContext context, MeshConnectionFeature connection, Deadline? deadline)
    {
        var activity = context.Features.Get<IHttpActivityFeature>()?.Activity;
        var isOwn = false;
        if (activity is null)
        {
            // With a tracer the host makes none where that one says no.
            if (!recorder.IsOn || HostSource.HasListeners() || (activity = TryStart(context)) is null)
            {
                return default;
            }

            isOwn = true;
        }
        else if (recorder.IsOn && activity.Source.Name.Length == 0 && !activity.Recorded && activity.ParentSpanId == default && activity.IdFormat == ActivityIdFormat.W3C && recorder.WantsRoot())
        {
            // Seen by what the app calls from here on.
            activity.ActivityTraceFlags |= ActivityTraceFlags.Recorded;
        }

        if (SomebodyReads(activity))
        {
            activity.SetTag(MeshTags.Tls, connection.IsMeshTls ? "mesh" : "none");
            if (connection.Peer is { } peer)
            {
                activity.SetTag(MeshTags.Peer, peer.Id.ToString());
            }

            if (deadline is not null)
            {
                activity.SetTag(MeshTags.Deadline, Math.Round(deadline.Left.TotalMilliseconds));
            }
        }

        return new ServerSpan(activity, isOwn);
    }

    /// <summary>The request has been served.</summary>
    public void End(ServerSpan span, HttpContext context, bool success, TimeSpan duration)
    {
        if (span.Activity is not { } activity)
        {
            if (recorder.IsOn && recorder.WantsLate(!success, duration))
            {
                EndLate(context, success, duration);
            }

            return;
        }

        var route = SomebodyReads(activity) ? Route(context) : null;
        if (route is not null)
        {
            activity.SetTag(MeshTags.Route, route);
        }

        if (span.IsOwn)
        {
            Stop(activity, success);
        }

        if (!recorder.IsOn)
        {
            return;
        }

        if (activity.Recorded)
        {
            Record(activity, context, route, success, duration, isLate: false);
        }
        else if (activity.Source.Name.Length == 0 && activity.IdFormat == ActivityIdFormat.W3C && recorder.WantsLate(!success, duration))
        {
            Record(activity, context, Route(context), success, duration, isLate: true);
        }
    }

    /// <summary>Not of a span that the host made for the log alone: what is written on it nobody sees.</summary>
    public static bool SomebodyReads(Activity activity) => activity.IsAllDataRequested && (activity.Recorded || activity.Source.Name.Length > 0);

    private Activity? TryStart(HttpContext context)
    {
        if (TryRead(context.Request.Headers, out var parent) ? !parent.IsSampled : !recorder.WantsRoot())
        {
            return null;
        }

        // Current in the flow that serves the request, and in no other.
        var span = New(parent).Start();
        context.Features.Set<IHttpActivityFeature>(new OwnActivity(span));
        return span;
    }

    private void EndLate(HttpContext context, bool success, TimeSpan duration)
    {
        TryRead(context.Request.Headers, out var parent);
        var current = Activity.Current;
        Activity.Current = null;
        var activity = New(parent);
        activity.Start();
        activity.SetStartTime(activity.StartTimeUtc - duration);
        Stop(activity, success);
        Activity.Current = current;
        Record(activity, context, Route(context), success, duration, isLate: true);
    }

    private static Activity New(in TraceContext parent)
    {
        var activity = new Activity(OwnSpan).SetIdFormat(ActivityIdFormat.W3C);
        if (parent.TraceId != default)
        {
            activity.SetParentId(parent.TraceId, parent.SpanId, ActivityTraceFlags.Recorded);
            activity.TraceStateString = parent.State;
        }

        activity.ActivityTraceFlags = ActivityTraceFlags.Recorded;
        return activity;
    }

    private static void Stop(Activity activity, bool success)
    {
        if (!success)
        {
            activity.SetStatus(ActivityStatusCode.Error);
        }

        activity.Stop();
    }

    private void Record(Activity activity, HttpContext context, string? route, bool success, TimeSpan duration, bool isLate)
    {
        var (request, response) = (context.Request, context.Response);
        var facts = new List<KeyValuePair<string, object?>>(8)
        {
            new("http.request.method", request.Method),
            new("url.path", request.Path.Value),
            new("url.scheme", request.Scheme),
            new("http.response.status_code", response.StatusCode),
        };
        if (route is not null)
        {
            facts.Add(new("http.route", route));
        }

        if (InboundOutcome.GrpcStatus(context) is { } grpc && int.TryParse(grpc, NumberStyles.None, CultureInfo.InvariantCulture, out var code))
        {
            facts.Add(new("rpc.grpc.status_code", code));
        }

        if (!success)
        {
            facts.Add(new("error.type", response.StatusCode >= 500 ? response.StatusCode.ToString(CultureInfo.InvariantCulture) : "failed"));
        }

        if (isLate)
        {
            facts.Add(new(MeshTags.Late, true));
        }

        var name = request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true ? request.Path.Value!.TrimStart('/') : route is null ? request.Method : $"{request.Method} {route}";
        recorder.Record(new FinishedSpan(activity, name, ActivityKind.Server, activity.StartTimeUtc, duration, !success, [.. facts]));
    }

    /// <summary>The pattern that the app matched, never what a caller wrote.</summary>
    private static string? Route(HttpContext context) => (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText;

    /// <summary>What a request says of the trace that it belongs to.</summary>
    public static bool TryRead(IHeaderDictionary headers, out TraceContext context) =>
        TraceContext.TryRead(headers, static (headers, name) => headers.TryGetValue(name, out var values) && values.Count == 1 ? values[0] : null, out context);
}

/// <summary>For whoever asks a request for its span.</summary>
internal sealed class OwnActivity(Activity activity) : IHttpActivityFeature
{
    public Activity Activity { get; set; } = activity;
}

/// <param name="IsOwn">It is ours to end.</param>
internal readonly record struct ServerSpan(Activity? Activity, bool IsOwn);
