using System.Diagnostics;
using System.Net.Http.Headers;
using Mesh.Telemetry;

namespace Mesh.Outbound.Steps;

/// <summary>Spans that only the mesh wants: activities without a source, of which no listener hears. The flow's current activity always stays.</summary>
internal static class OwnSpans
{
    /// <summary>False for what some tracer asked for.</summary>
    public static bool IsOwn(Activity span) => span.Source.Name.Length == 0;

    /// <param name="headers">What the request belongs to in a proxy.</param>
    /// <param name="current">What it belongs to in an app.</param>
    /// <param name="format">How the headers say it.</param>
    /// <returns>Null when the call is not traced.</returns>
    public static Activity? StartCall(SpanRecorder recorder, string name, HttpRequestHeaders headers, Activity? current, out TraceFormat format)
    {
        format = TraceFormat.W3C;
        if (current is not null)
        {
            return current is { Recorded: true, IdFormat: ActivityIdFormat.W3C } ? Start(name, current) : null;
        }

        if (recorder.ContinuesRequests && TryRead(headers, out var remote))
        {
            format = remote.Format;
            return remote.IsSampled ? Start(name, remote.TraceId, remote.SpanId, remote.State) : null;
        }

        return recorder.WantsRoot() ? Start(name, default, default, null) : null;
    }

    /// <summary>For a call that is over.</summary>
    /// <param name="parent">Null is none, or the one that the headers name.</param>
    /// <returns>Stopped; null where its place in a trace can't be told.</returns>
    public static Activity? StartLate(SpanRecorder recorder, string name, Activity? parent, HttpRequestHeaders headers, TimeSpan duration)
    {
        if (parent is { IdFormat: not ActivityIdFormat.W3C })
        {
            return null;
        }

        var span = parent is not null ? Start(name, parent)
            : recorder.ContinuesRequests && TryRead(headers, out var remote) ? Start(name, remote.TraceId, remote.SpanId, remote.State)
            : Start(name, default, default, null);
        span.SetStartTime(span.StartTimeUtc - duration);
        Stop(span);
        return span;
    }

    /// <summary>A sampled span below another one.</summary>
    public static Activity Start(string name, Activity parent) => Start(name, parent.TraceId, parent.SpanId, parent.TraceStateString);

    /// <summary>Ends a span where the response ends, in whatever flow that is.</summary>
    public static void Stop(Activity span)
    {
        var current = Activity.Current;
        span.Dispose();
        if (current is not { IsStopped: true })
        {
            Activity.Current = current;
        }
    }

    private static bool TryRead(HttpRequestHeaders headers, out TraceContext context) =>
        TraceContext.TryRead(headers, static (headers, name) => headers.NonValidated.TryGetValues(name, out var values) && values.Count == 1 ? values.ToString() : null, out context);

    /// <summary>A sampled span below another one; without a trace it begins one.</summary>
    internal static Activity Start(string name, ActivityTraceId trace, ActivitySpanId parent, string? state)
    {
        var current = Activity.Current;
        Activity.Current = null;
        var span = new Activity(name).SetIdFormat(ActivityIdFormat.W3C);
        if (trace != default)
        {
            span.SetParentId(trace, parent, ActivityTraceFlags.Recorded);
        }

        span.ActivityTraceFlags = ActivityTraceFlags.Recorded;
        span.TraceStateString = state;
        span.Start();
        Activity.Current = current;
        return span;
    }
}
