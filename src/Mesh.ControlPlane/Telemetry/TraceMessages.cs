using Google.Protobuf;
using Google.Protobuf.Collections;
using Mesh.Protos.Otlp;
using Mesh.Protos.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Parts of traces as replicas send them to each other.</summary>
internal static class TraceMessages
{
    /// <summary>Traces of one question for spans: their answer stays far below what a message may hold.</summary>
    public const int MaxIds = 50;

    public static TracesQuery Of(TraceQuery query)
    {
        var message = new TracesQuery();
        if (query.Service is not null)
        {
            message.Service = query.Service;
        }

        if (query.Namespace is not null)
        {
            message.Namespace = query.Namespace;
        }

        if (query.Source is not null)
        {
            message.Source = query.Source;
        }

        if (query.Destination is not null)
        {
            message.Destination = query.Destination;
        }

        if (query.Workloads is { } workloads)
        {
            message.ByWorkload = true;
            message.Workloads.AddRange(workloads.Select(w => new TracesQuery.Types.Workload { Namespace = w.Namespace, Name = w.Name }));
        }

        return message;
    }

    /// <summary>What can be said of a part; the rest is judged by who asks.</summary>
    public static TraceQuery QueryOf(TracesQuery message) =>
        new(message.HasService ? message.Service : null, message.HasNamespace ? message.Namespace : null, TimeSpan.Zero, FailedOnly: false, TraceQuery.MaxLimit)
        {
            Source = message.HasSource ? message.Source : null,
            Destination = message.HasDestination ? message.Destination : null,
            Workloads = message.ByWorkload ? message.Workloads.Select(w => (w.Namespace, w.Name)).ToHashSet() : null,
        };

    public static TracesAnswer Of(DateTimeOffset? reachesBackTo, IReadOnlyList<KnownTrace> known)
    {
        var message = new TracesAnswer();
        if (reachesBackTo is { } back)
        {
            message.ReachesBackToMs = back.ToUnixTimeMilliseconds();
        }

        message.Traces.AddRange(known.Select(t => new Protos.Telemetry.KnownTrace
        {
            Id = t.Id, StartUnixNano = Nanoseconds(t.Start), EndUnixNano = Nanoseconds(t.Start + t.Duration), HasParent = t.HasParent, Failed = t.Failed, OfService = t.OfService, OfNamespace = t.OfNamespace,
            OfCall = t.OfCall, OfWorkloads = t.OfWorkloads,
        }));
        return message;
    }

    public static KnownTrace Read(Protos.Telemetry.KnownTrace message)
    {
        var start = TraceReader.Time(message.StartUnixNano);
        return new KnownTrace(message.Id, start, TraceReader.Time(message.EndUnixNano) - start, message.HasParent, message.Failed, message.OfService, message.OfNamespace, message.OfCall, message.OfWorkloads);
    }

    /// <param name="whole">False: without attributes and events.</param>
    public static KnownSpan Of(StoredSpan span, bool whole)
    {
        var message = new Span
        {
            TraceId = Bytes(span.TraceId),
            SpanId = Bytes(span.SpanId),
            ParentSpanId = span.ParentId is null ? ByteString.Empty : Bytes(span.ParentId),
            Name = span.Name,
            Kind = span.Kind switch
            {
                "server" => Span.Types.SpanKind.Server,
                "client" => Span.Types.SpanKind.Client,
                _ => Span.Types.SpanKind.Internal,
            },
            StartTimeUnixNano = Nanoseconds(span.Start),
            EndTimeUnixNano = Nanoseconds(span.End),
            Status = new SpanStatus { Code = span.Failed ? SpanStatus.Types.StatusCode.Error : SpanStatus.Types.StatusCode.Unset },
        };
        if (whole)
        {
            Add(message.Attributes, span.Attributes);
            foreach (var happened in span.Events)
            {
                var written = new Span.Types.Event { TimeUnixNano = Nanoseconds(happened.At), Name = happened.Name };
                Add(written.Attributes, happened.Attributes);
                message.Events.Add(written);
            }
        }

        return new KnownSpan { Span = message, Workload = span.Workload, Namespace = span.Namespace };
    }

    /// <summary>Null when it is none.</summary>
    public static StoredSpan? Read(KnownSpan message) =>
        message.Span is { } span && TraceReader.Problem(span) is null ? TraceReader.Stored(span, message.Workload, message.Namespace) : null;

    private static void Add(RepeatedField<KeyValue> to, IReadOnlyDictionary<string, object> attributes) => to.AddRange(attributes.Select(a => new KeyValue
    {
        Key = a.Key,
        Value = a.Value switch
        {
            bool value => new AnyValue { BoolValue = value },
            long value => new AnyValue { IntValue = value },
            double value => new AnyValue { DoubleValue = value },
            var value => new AnyValue { StringValue = (string)value },
        },
    }));

    private static ByteString Bytes(string hex) => ByteString.CopyFrom(Convert.FromHexString(hex));

    private static ulong Nanoseconds(DateTimeOffset at) => (ulong)Math.Max(0, (at - DateTimeOffset.UnixEpoch).Ticks) * TimeSpan.NanosecondsPerTick;
}
