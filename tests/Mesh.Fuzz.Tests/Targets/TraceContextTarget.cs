using System.Text;
using Mesh.Telemetry;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>What strangers write of the trace that their request belongs to. What is none is ignored; what is one is written as it was read.</summary>
internal sealed class TraceContextTarget : IFuzzTarget
{
    private const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    private const string Span = "00f067aa0ba902b7";

    public string Name => "trace-context";

    public int Iterations => 20_000;

    public IReadOnlyList<byte[]> Corpus { get; } =
    [
        .. new[]
        {
            $"traceparent:00-{Trace}-{Span}-01", $"traceparent:cc-{Trace}-{Span}-01-what", $"b3:{Trace}-{Span}-1-{Span}", $"b3:{Trace[16..]}-{Span}-d", "b3:0",
            "grpc-trace-bin:AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE", "grpc-trace-bin:AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE=", "grpc-trace-bin:AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3",
            "grpc-trace-bin:AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgED/w==",
        }.Select(Encoding.UTF8.GetBytes),
    ];

    public IReadOnlyList<IMutation> Mutations { get; } = [new TextMutation("grpc-trace-bin:", "b3:", "traceparent:", "AA", "+", "/", "=", "-", "0000000000000000", "ff", "Ag", "é")];

    public string Run(byte[] input)
    {
        var text = Encoding.UTF8.GetString(input);
        var colon = Math.Max(0, text.IndexOf(':', StringComparison.Ordinal));
        var (name, value) = (text[..colon], text[(colon == 0 ? 0 : colon + 1)..]);
        if (!TraceContext.TryRead((name, value), static (header, wanted) => header.name == wanted ? header.value : null, out var context))
        {
            Holds.That(context == default, "nothing is left of what was refused");
            return "none";
        }

        Holds.That(context.TraceId.ToHexString().Any(c => c != '0') && context.SpanId.ToHexString().Any(c => c != '0'), $"'{text}' has an empty id");
        Holds.That(TraceContext.TryRead(context.ToTraceParent(), static (header, wanted) => wanted == TraceContext.TraceParent ? header : null, out var parent)
            && (parent.TraceId, parent.SpanId, parent.IsSampled) == (context.TraceId, context.SpanId, context.IsSampled), $"'{text}' is written as '{context.ToTraceParent()}', which says something else");
        var binary = TraceContext.ToBinary(context.TraceId, context.SpanId, context.IsSampled);
        Holds.That(TraceContext.TryReadBinary(binary, out var again) && (again.TraceId, again.SpanId, again.IsSampled) == (context.TraceId, context.SpanId, context.IsSampled), $"'{text}' is written as '{binary}', which says something else");
        return context.Format.ToString();
    }
}
