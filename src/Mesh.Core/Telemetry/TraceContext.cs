using System.Diagnostics;

namespace Mesh.Telemetry;

/// <summary>What a request's headers say of the trace that it belongs to.</summary>
/// <param name="State"><c>tracestate</c>, as it came.</param>
/// <param name="Format">How it was written, beside W3C's where that was there too: whoever hands it on writes both again.</param>
internal readonly record struct TraceContext(ActivityTraceId TraceId, ActivitySpanId SpanId, bool IsSampled, string? State, TraceFormat Format)
{
    public const string TraceParent = "traceparent";
    public const string TraceState = "tracestate";
    public const string GrpcTraceBin = "grpc-trace-bin";
    public const string B3 = "b3";
    public const string B3TraceId = "x-b3-traceid";
    public const string B3SpanId = "x-b3-spanid";
    public const string B3ParentSpanId = "x-b3-parentspanid";
    public const string B3Sampled = "x-b3-sampled";
    public const string B3Flags = "x-b3-flags";

    // Where the fields of grpc-trace-bin begin, and how long it is with all that we know.
    private const int SpanField = 18;
    private const int OptionsField = 27;
    private const int BinaryLength = 29;
    private const int LongestBinary = 256;

    /// <summary>The names that a context goes by, but for baggage.</summary>
    public static readonly string[] Names = [TraceParent, TraceState, GrpcTraceBin, B3, B3TraceId, B3SpanId, B3ParentSpanId, B3Sampled, B3Flags];

    /// <summary>W3C's where it is there; else what OpenCensus wrote for gRPC, else B3's one header, else B3's many.</summary>
    /// <param name="header">The one value of a header; null where there is none, or more than one.</param>
    /// <returns>False when there is none, or none that is valid.</returns>
    public static bool TryRead<T>(T headers, Func<T, string, string?> header, out TraceContext context)
    {
        if (header(headers, TraceParent) is { } parent)
        {
            context = default;
            if (!ActivityContext.TryParse(parent, header(headers, TraceState), isRemote: true, out var w3c))
            {
                return false;
            }

            context = new(w3c.TraceId, w3c.SpanId, (w3c.TraceFlags & ActivityTraceFlags.Recorded) != 0, w3c.TraceState, FormatBeside(headers, header));
            return true;
        }

        if (header(headers, GrpcTraceBin) is { } binary && TryReadBinary(binary, out context))
        {
            return true;
        }

        return header(headers, B3) is { } single ? TryReadB3(single, out context) : TryReadB3(headers, header, out context);
    }

    /// <summary>As <c>traceparent</c>.</summary>
    public string ToTraceParent() => $"00-{TraceId.ToHexString()}-{SpanId.ToHexString()}-{(IsSampled ? "01" : "00")}";

    /// <summary>As <c>grpc-trace-bin</c>: without padding, as gRPC wants what it sends.</summary>
    public static string ToBinary(ActivityTraceId trace, ActivitySpanId span, bool sampled)
    {
        Span<byte> bytes = stackalloc byte[BinaryLength];
        bytes.Clear();
        trace.CopyTo(bytes.Slice(2, 16));
        bytes[SpanField] = 1;
        span.CopyTo(bytes.Slice(SpanField + 1, 8));
        bytes[OptionsField] = 2;
        bytes[OptionsField + 1] = (byte)(sampled ? 1 : 0);
        return Convert.ToBase64String(bytes).TrimEnd('=');
    }

    /// <summary>Base64 of OpenCensus' binary format: version 0, then fields in the order of their numbers: 0 trace, 1 span, 2 options, whose lowest bit says sampled. What follows is of later versions.</summary>
    internal static bool TryReadBinary(string text, out TraceContext context)
    {
        context = default;
        Span<char> padded = stackalloc char[LongestBinary + 3];
        Span<byte> bytes = stackalloc byte[LongestBinary];
        var value = text.AsSpan().TrimEnd('=');
        if (value.Length is 0 or > LongestBinary)
        {
            return false;
        }

        var length = (value.Length + 3) / 4 * 4;
        value.CopyTo(padded);
        padded[value.Length..length].Fill('=');
        if (!Convert.TryFromBase64Chars(padded[..length], bytes, out var count) || count < OptionsField || bytes[0] != 0 || bytes[1] != 0 || bytes[SpanField] != 1)
        {
            return false;
        }

        var trace = bytes.Slice(2, 16);
        var span = bytes.Slice(SpanField + 1, 8);
        var hasOptions = count > OptionsField && bytes[OptionsField] == 2;
        if (!trace.ContainsAnyExcept((byte)0) || !span.ContainsAnyExcept((byte)0) || (hasOptions && count < BinaryLength))
        {
            return false;
        }

        context = new(ActivityTraceId.CreateFromBytes(trace), ActivitySpanId.CreateFromBytes(span), hasOptions && (bytes[OptionsField + 1] & 1) != 0, null, TraceFormat.GrpcBinary);
        return true;
    }

    /// <summary><c>{trace}-{span}</c>, then maybe <c>-{sampled}</c> and <c>-{parent}</c>. A lone <c>0</c> only says that nothing is to be traced: no context.</summary>
    internal static bool TryReadB3(string text, out TraceContext context)
    {
        context = default;
        Span<Range> parts = stackalloc Range[5];
        var value = text.AsSpan();
        var count = value.Split(parts, '-');
        return count is >= 2 and <= 4 && TryMake(value[parts[0]], value[parts[1]], count > 2 && value[parts[2]] is "1" or "d", TraceFormat.B3Single, out context);
    }

    private static TraceFormat FormatBeside<T>(T headers, Func<T, string, string?> header) =>
        header(headers, GrpcTraceBin) is not null ? TraceFormat.GrpcBinary
        : header(headers, B3) is not null ? TraceFormat.B3Single
        : header(headers, B3TraceId) is not null ? TraceFormat.B3Multi
        : TraceFormat.W3C;

    private static bool TryReadB3<T>(T headers, Func<T, string, string?> header, out TraceContext context)
    {
        context = default;
        return header(headers, B3TraceId) is { } trace && header(headers, B3SpanId) is { } span
            && TryMake(trace, span, header(headers, B3Sampled) is "1" or "true" || header(headers, B3Flags) is "1", TraceFormat.B3Multi, out context);
    }

    private static bool TryMake(ReadOnlySpan<char> trace, ReadOnlySpan<char> span, bool sampled, TraceFormat format, out TraceContext context)
    {
        context = default;
        // Ids of 64 bits are the low half of ours.
        Span<char> full = stackalloc char[32];
        if (trace.Length is not (16 or 32) || span.Length != 16 || !IsId(trace) || !IsId(span))
        {
            return false;
        }

        full.Fill('0');
        trace.ToLowerInvariant(full[(32 - trace.Length)..]);
        Span<char> low = stackalloc char[16];
        span.ToLowerInvariant(low);
        context = new(ActivityTraceId.CreateFromString(full), ActivitySpanId.CreateFromString(low), sampled, null, format);
        return true;
    }

    private static bool IsId(ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (!char.IsAsciiHexDigit(c))
            {
                return false;
            }
        }

        return text.ContainsAnyExcept('0');
    }
}

/// <summary>How a trace context is written in headers.</summary>
internal enum TraceFormat
{
    /// <summary>W3C's alone.</summary>
    W3C,

    /// <summary>One header, <c>b3</c>.</summary>
    B3Single,

    /// <summary>A header each: <c>x-b3-traceid</c> and so on.</summary>
    B3Multi,

    /// <summary><c>grpc-trace-bin</c>.</summary>
    GrpcBinary,
}
