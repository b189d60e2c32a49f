using System.Diagnostics;
using System.Globalization;
using Google.Protobuf;
using Mesh.Protos.Otlp;
using Mesh.Telemetry;

namespace Mesh.Export;

/// <summary>Turns spans into OTLP. Of what the app itself wrote on its span only names that say something of the call leave the workload; no query of a URL, no header.</summary>
internal static class SpanMessages
{
    public const int MaxAttributes = 64;
    public const int MaxEvents = 64;
    public const int MaxTextLength = 1024;

    /// <summary>What begins so is sent.</summary>
    private static readonly string[] Names = ["mesh.", "http.", "rpc.", "url.", "server.", "client.", "network.", "error.type"];

    /// <summary>Of these, what is not.</summary>
    private static readonly string[] Private = ["http.request.header.", "http.response.header.", "rpc.grpc.request.metadata.", "rpc.grpc.response.metadata.", "url.query", "http.url", "http.target"];

    public static ExportTraceServiceRequest Request(Resource resource, IReadOnlyCollection<FinishedSpan> spans)
    {
        var scope = new ScopeSpans { Scope = new InstrumentationScope { Name = MeshTags.ActivitySource } };
        scope.Spans.AddRange(spans.Select(Message));
        var all = new ResourceSpans { Resource = resource };
        all.ScopeSpans.Add(scope);
        var request = new ExportTraceServiceRequest();
        request.ResourceSpans.Add(all);
        return request;
    }

    public static Span Message(FinishedSpan finished)
    {
        var activity = finished.Activity;
        var start = Nanoseconds(finished.Start);
        var span = new Span
        {
            TraceId = Bytes(activity.TraceId),
            SpanId = Bytes(activity.SpanId),
            TraceState = activity.TraceStateString ?? string.Empty,
            Name = Cut(finished.Name),
            Kind = finished.Kind switch
            {
                ActivityKind.Client => Span.Types.SpanKind.Client,
                ActivityKind.Server => Span.Types.SpanKind.Server,
                _ => Span.Types.SpanKind.Internal,
            },
            StartTimeUnixNano = start,
            EndTimeUnixNano = start + ((ulong)finished.Duration.Ticks * TimeSpan.NanosecondsPerTick),
            Flags = (uint)activity.ActivityTraceFlags,
            Status = finished.Failed ? new SpanStatus { Code = SpanStatus.Types.StatusCode.Error } : null,
        };
        if (activity.ParentSpanId != default)
        {
            span.ParentSpanId = Bytes(activity.ParentSpanId);
        }

        foreach (var fact in finished.Facts ?? [])
        {
            span.Attributes.Add(Attribute(fact));
        }

        foreach (var tag in activity.TagObjects)
        {
            if (!IsSent(tag.Key) || span.Attributes.Any(a => a.Key == tag.Key))
            {
                continue;
            }

            if (span.Attributes.Count == MaxAttributes)
            {
                span.DroppedAttributesCount++;
                continue;
            }

            span.Attributes.Add(Attribute(tag));
        }

        AddEvents(span, activity);
        return span;
    }

    private static void AddEvents(Span span, Activity activity)
    {
        foreach (var happened in activity.Events)
        {
            // Events of the app's own, such as exceptions with their stacks, stay its own.
            if (!happened.Tags.Any(t => t.Key == MeshTags.Reason))
            {
                continue;
            }

            if (span.Events.Count == MaxEvents)
            {
                span.DroppedEventsCount++;
                continue;
            }

            var sent = new Span.Types.Event { Name = Cut(happened.Name), TimeUnixNano = Nanoseconds(happened.Timestamp.UtcDateTime) };
            sent.Attributes.AddRange(happened.Tags.Where(t => IsSent(t.Key)).Take(MaxAttributes).Select(Attribute));
            span.Events.Add(sent);
        }
    }

    private static bool IsSent(string name) => Names.Any(n => name.StartsWith(n, StringComparison.Ordinal)) && !Private.Any(n => name.StartsWith(n, StringComparison.Ordinal));

    private static KeyValue Attribute(KeyValuePair<string, object?> tag) => new()
    {
        Key = tag.Key,
        Value = tag.Value switch
        {
            bool value => new AnyValue { BoolValue = value },
            int value => new AnyValue { IntValue = value },
            long value => new AnyValue { IntValue = value },
            double value => new AnyValue { DoubleValue = value },
            // Somebody may have written it with its query all the same.
            string value when tag.Key == "url.full" && value.IndexOf('?', StringComparison.Ordinal) is >= 0 and var query => new AnyValue { StringValue = Cut(value[..query]) },
            _ => new AnyValue { StringValue = Cut(Convert.ToString(tag.Value, CultureInfo.InvariantCulture) ?? string.Empty) },
        },
    };

    private static string Cut(string text) => text.Length <= MaxTextLength ? text : text[..MaxTextLength];

    private static ByteString Bytes(ActivityTraceId id)
    {
        System.Span<byte> bytes = stackalloc byte[16];
        id.CopyTo(bytes);
        return ByteString.CopyFrom(bytes);
    }

    private static ByteString Bytes(ActivitySpanId id)
    {
        System.Span<byte> bytes = stackalloc byte[8];
        id.CopyTo(bytes);
        return ByteString.CopyFrom(bytes);
    }

    private static ulong Nanoseconds(DateTime utc) => (ulong)Math.Max(0, (utc - DateTime.UnixEpoch).Ticks) * TimeSpan.NanosecondsPerTick;
}
