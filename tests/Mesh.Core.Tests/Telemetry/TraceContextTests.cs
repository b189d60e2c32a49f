using System.Diagnostics;
using Mesh.Telemetry;
using Xunit;

namespace Mesh.Core.Tests.Telemetry;

public sealed class TraceContextTests
{
    private const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    private const string Span = "00f067aa0ba902b7";

    [Theory]
    [InlineData($"traceparent=00-{Trace}-{Span}-01", Trace, true, "W3C")]
    [InlineData($"traceparent=00-{Trace}-{Span}-00|b3={Trace}-{Span}-1", Trace, false, "B3Single")]
    [InlineData($"b3={Trace}-{Span}-1", Trace, true, "B3Single")]
    [InlineData($"b3={Trace}-{Span}-d-{Span}", Trace, true, "B3Single")]
    [InlineData($"b3={Trace}-{Span}-0", Trace, false, "B3Single")]
    [InlineData($"b3={Trace}-{Span}", Trace, false, "B3Single")]
    [InlineData($"b3=A3CE929D0E0E4736-{Span}-1", "0000000000000000a3ce929d0e0e4736", true, "B3Single")]
    [InlineData($"x-b3-traceid={Trace}|x-b3-spanid={Span}|x-b3-sampled=1", Trace, true, "B3Multi")]
    [InlineData($"x-b3-traceid={Trace}|x-b3-spanid={Span}|x-b3-sampled=true", Trace, true, "B3Multi")]
    [InlineData($"x-b3-traceid={Trace}|x-b3-spanid={Span}|x-b3-flags=1", Trace, true, "B3Multi")]
    [InlineData($"x-b3-traceid={Trace}|x-b3-spanid={Span}", Trace, false, "B3Multi")]
    [InlineData("grpc-trace-bin=AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE", Trace, true, "GrpcBinary")]
    [InlineData($"grpc-trace-bin=AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE=|b3={Trace}-{Span}-0", Trace, true, "GrpcBinary")]
    [InlineData($"grpc-trace-bin=AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE|traceparent=00-{Trace}-{Span}-00", Trace, false, "GrpcBinary")]
    [InlineData("grpc-trace-bin=AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgA", Trace, false, "GrpcBinary")]
    [InlineData("grpc-trace-bin=AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3", Trace, false, "GrpcBinary")]
    [InlineData("grpc-trace-bin=AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgED/w==", Trace, true, "GrpcBinary")]
    [InlineData($"grpc-trace-bin=nonsense|b3={Trace}-{Span}-1", Trace, true, "B3Single")]
    public void TryRead_Valid_IsWhatTheHeadersSay(string headers, string trace, bool sampled, string format)
    {
        Assert.True(Read(headers, out var context));
        Assert.Equal((trace, Span, sampled, format), (context.TraceId.ToHexString(), context.SpanId.ToHexString(), context.IsSampled, context.Format.ToString()));
        Assert.Equal($"00-{trace}-{Span}-{(sampled ? "01" : "00")}", context.ToTraceParent());
    }

    [Theory]
    [InlineData("")]
    [InlineData("b3=0")]
    [InlineData("b3=")]
    [InlineData("b3=-")]
    [InlineData($"b3={Trace}-{Span}-1-{Span}-1")]
    [InlineData($"b3={Trace}-0000000000000000-1")]
    [InlineData($"b3=00000000000000000000000000000000-{Span}-1")]
    [InlineData($"b3=zbf92f3577b34da6a3ce929d0e0e4736-{Span}-1")]
    [InlineData($"b3={Trace}0-{Span}-1")]
    [InlineData($"traceparent=nonsense|b3={Trace}-{Span}-1")]
    [InlineData($"traceparent=00-00000000000000000000000000000000-{Span}-01")]
    [InlineData($"x-b3-traceid={Trace}")]
    [InlineData("grpc-trace-bin=")]
    [InlineData("grpc-trace-bin====")]
    [InlineData("grpc-trace-bin=AQBL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE")]
    [InlineData("grpc-trace-bin=AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3Ag")]
    [InlineData("grpc-trace-bin=AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQI")]
    [InlineData("grpc-trace-bin=AABL+S81d7NNpqPOkp0ODkc2AQAAAAAAAAAAAgE")]
    [InlineData("grpc-trace-bin=AAAAAAAAAAAAAAAAAAAAAAAAAQDwZ6oLqQK3AgE")]
    [InlineData("grpc-trace-bin=AABL+S81d7NNpqPOkp0ODkc2AgDwZ6oLqQK3AgE")]
    public void TryRead_NothingOrInvalid_IsNone(string headers) => Assert.False(Read(headers, out _));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ToBinary_IsReadAgain(bool sampled)
    {
        var written = TraceContext.ToBinary(ActivityTraceId.CreateFromString(Trace), ActivitySpanId.CreateFromString(Span), sampled);
        Assert.Equal(sampled ? "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE" : "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgA", written);
        Assert.True(TraceContext.TryReadBinary(written, out var read));
        Assert.Equal((Trace, Span, sampled), (read.TraceId.ToHexString(), read.SpanId.ToHexString(), read.IsSampled));
    }

    private static bool Read(string headers, out TraceContext context) => TraceContext.TryRead(
        headers.Split('|').Where(h => h.Length > 0).ToDictionary(h => h[..h.IndexOf('=', StringComparison.Ordinal)], h => h[(h.IndexOf('=', StringComparison.Ordinal) + 1)..]),
        static (all, name) => all.GetValueOrDefault(name),
        out context);
}
