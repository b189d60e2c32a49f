using Google.Protobuf;
using Google.Protobuf.Collections;
using Mesh.Protos.Otlp;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Reads OTLP spans of one peer; a span that the peer may not send, or that is malformed, is refused alone. What is too long is cut.</summary>
internal static class TraceReader
{
    /// <summary>Spans of one message.</summary>
    public const int MaxSpans = 2000;

    private const int MaxName = 256;
    private const int MaxText = 1024;
    private const int MaxAttributes = 64;
    private const int MaxEvents = 64;

    /// <returns>What can be kept, how many spans were refused, and the first reason.</returns>
    public static (IReadOnlyList<StoredSpan> Spans, long Rejected, string? Reason) Read(IEnumerable<ResourceSpans> all, SpiffeId peer)
    {
        var spans = new List<StoredSpan>();
        long rejected = 0;
        string? reason = null;
        foreach (var resource in all)
        {
            var ns = Text(resource.Resource, "service.namespace");
            var workload = Text(resource.Resource, "service.name");
            var problem = ns != peer.Namespace ? $"service.namespace is '{Cut(ns, MaxName)}', the peer is '{peer}'. A workload sends spans of its own namespace only"
                : workload.Length is 0 or > 253 ? "service.name is missing or too long" : null;
            foreach (var span in resource.ScopeSpans.SelectMany(s => s.Spans))
            {
                var wrong = problem ?? (spans.Count == MaxSpans ? $"a message holds more than {MaxSpans} spans" : Problem(span));
                if (wrong is null)
                {
                    spans.Add(Stored(span, workload, ns));
                }
                else
                {
                    rejected++;
                    reason ??= wrong;
                }
            }
        }

        return (spans, rejected, reason);
    }

    /// <summary>Why it can't be taken; null: it can.</summary>
    public static string? Problem(Span span) =>
        !IsId(span.TraceId, 16) ? "a span has no valid trace_id"
        : !IsId(span.SpanId, 8) ? "a span has no valid span_id"
        : !span.ParentSpanId.IsEmpty && span.ParentSpanId.Length != 8 ? "a span has a malformed parent_span_id"
        : span.StartTimeUnixNano == 0 || span.EndTimeUnixNano < span.StartTimeUnixNano ? "a span ends before it starts, or has no time"
        : null;

    /// <param name="span">With valid ids.</param>
    public static StoredSpan Stored(Span span, string workload, string ns) => new(
        Hex(span.TraceId),
        Hex(span.SpanId),
        IsId(span.ParentSpanId, 8) ? Hex(span.ParentSpanId) : null,
        Cut(span.Name, MaxName),
        span.Kind switch
        {
            Span.Types.SpanKind.Server => "server",
            Span.Types.SpanKind.Client => "client",
            _ => "internal",
        },
        workload,
        ns,
        Time(span.StartTimeUnixNano),
        TimeSpan.FromTicks((long)((span.EndTimeUnixNano - span.StartTimeUnixNano) / TimeSpan.NanosecondsPerTick)),
        span.Status?.Code == SpanStatus.Types.StatusCode.Error,
        Attributes(span.Attributes),
        [.. span.Events.Take(MaxEvents).Select(e => new StoredEvent(Time(e.TimeUnixNano), Cut(e.Name, MaxName), Attributes(e.Attributes)))]);

    private static Dictionary<string, object> Attributes(RepeatedField<KeyValue> attributes)
    {
        var all = new Dictionary<string, object>(StringComparer.Ordinal);
        foreach (var attribute in attributes.Take(MaxAttributes).Where(a => a.Key.Length is > 0 and <= MaxName))
        {
            all[attribute.Key] = attribute.Value?.ValueCase switch
            {
                AnyValue.ValueOneofCase.BoolValue => attribute.Value.BoolValue,
                AnyValue.ValueOneofCase.IntValue => attribute.Value.IntValue,
                // JSON has no word for infinity.
                AnyValue.ValueOneofCase.DoubleValue when double.IsFinite(attribute.Value.DoubleValue) => attribute.Value.DoubleValue,
                AnyValue.ValueOneofCase.StringValue => Cut(attribute.Value.StringValue, MaxText),
                _ => string.Empty,
            };
        }

        return all;
    }

    private static string Text(Resource? resource, string key) => resource?.Attributes.FirstOrDefault(a => a.Key == key)?.Value?.StringValue ?? string.Empty;

    private static bool IsId(ByteString id, int length) => id.Length == length && id.Span.ContainsAnyExcept((byte)0);

    private static string Hex(ByteString id) => Convert.ToHexStringLower(id.Span);

    private static string Cut(string text, int most) => text.Length <= most ? text : text[..most];

    public static DateTimeOffset Time(ulong nanoseconds) => DateTimeOffset.UnixEpoch.AddTicks((long)(nanoseconds / TimeSpan.NanosecondsPerTick));
}
