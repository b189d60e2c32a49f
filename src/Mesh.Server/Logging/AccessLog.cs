using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mesh.Hosting;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Mesh.Server.Logging;

/// <summary>One line per inbound HTTP request, with Linkerd's fields or in Apache's combined format. Thread-safe; no request waits for it.</summary>
/// <remarks>It holds what callers sent, escaped: paths with their queries, hosts and user agents, each cut at <see cref="MaxFieldLength"/>; no other header and no body.</remarks>
internal sealed class AccessLog : IAsyncDisposable
{
    /// <summary>Characters of one field that are written.</summary>
    public const int MaxFieldLength = 2048;

    private static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly SearchValues<char> LowerHex = SearchValues.Create("0123456789abcdef");
    private readonly MeshAccessLog _format;
    private readonly TimeProvider _time;
    private readonly LineWriter? _lines;

    /// <param name="output">Null is stderr. It stays open.</param>
    public AccessLog(MeshAccessLog format, TimeProvider time, Stream? output = null)
    {
        (_format, _time) = (format, time);
        _lines = format == MeshAccessLog.Off ? null : new LineWriter(output ?? Console.OpenStandardError(), SaysDropped, time);
    }

    /// <summary>Ask before anything is measured for it.</summary>
    public bool IsOn => _lines is not null;

    /// <summary>Lines that were not written because nobody read fast enough.</summary>
    public long Dropped => _lines?.Dropped ?? 0;

    /// <summary>The request has ended. Does nothing while off.</summary>
    /// <param name="peer">Null without mesh TLS.</param>
    /// <param name="total">From its first byte to the last of its response.</param>
    /// <param name="processing">What of it the proxy took itself.</param>
    public void Write(HttpContext context, MeshPeerFeature? peer, TimeSpan total, TimeSpan processing, long requestBytes, long responseBytes)
    {
        if (_lines is null)
        {
            return;
        }

        var begun = _time.GetUtcNow() - total;
        _lines.Write(_format == MeshAccessLog.Json
            ? JsonLine(context, peer, begun, total, processing, requestBytes, responseBytes)
            : ApacheLine(context, peer, begun, responseBytes));
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _lines?.DisposeAsync() ?? ValueTask.CompletedTask;

    /// <summary>The trace's id in a <c>traceparent</c> (W3C Trace Context §3.2); null when there is no valid one.</summary>
    internal static string? TraceIdOf(string? traceparent)
    {
        if (traceparent is not { Length: >= 55 } || traceparent[2] != '-' || traceparent[35] != '-' || traceparent[52] != '-' || (traceparent.Length > 55 && traceparent[55] != '-'))
        {
            return null;
        }

        var trace = traceparent.AsSpan(3, 32);
        var version = traceparent.AsSpan(0, 2);
        var span = traceparent.AsSpan(36, 16);
        return IsHex(version) && !version.SequenceEqual("ff") && (traceparent.Length == 55 || !version.SequenceEqual("00")) && IsHex(trace) && trace.ContainsAnyExcept('0')
            && IsHex(span) && span.ContainsAnyExcept('0') && IsHex(traceparent.AsSpan(53, 2))
            ? trace.ToString()
            : null;
    }

    /// <summary>Of the request's span where it has one, else what its headers say: W3C's, or B3's.</summary>
    private static string? TraceIdOf(HttpContext context)
    {
        if (context.Features.Get<IHttpActivityFeature>()?.Activity is { IdFormat: ActivityIdFormat.W3C } span)
        {
            return span.TraceId.ToHexString();
        }

        var headers = context.Request.Headers;
        return headers.TraceParent.Count > 0 ? TraceIdOf(headers.TraceParent)
            : TraceContext.TryRead(headers, static (from, name) => from.TryGetValue(name, out var values) && values.Count == 1 ? values[0] : null, out var trace) ? trace.TraceId.ToHexString() : null;
    }

    private static bool IsHex(ReadOnlySpan<char> text) => !text.ContainsAnyExcept(LowerHex);

    private static byte[] JsonLine(HttpContext context, MeshPeerFeature? peer, DateTimeOffset begun, TimeSpan total, TimeSpan processing, long requestBytes, long responseBytes)
    {
        var request = context.Request;
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, Json))
        {
            json.WriteStartObject();
            Field(json, "client.addr", Address(context) is { } address ? new IPEndPoint(address, context.Connection.RemotePort).ToString() : null);
            Field(json, "client.id", peer?.Id.ToString());
            json.WriteString("timestamp", begun.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture));
            Field(json, "method", request.Method);
            Field(json, "uri", Uri(context));
            Field(json, "version", request.Protocol);
            Field(json, "trace_id", TraceIdOf(context));
            json.WriteNumber("request_bytes", requestBytes);
            json.WriteNumber("status", context.Response.StatusCode);
            json.WriteNumber("response_bytes", responseBytes);
            json.WriteNumber("total_ns", Nanoseconds(total));
            json.WriteNumber("processing_ns", Nanoseconds(processing));
            Field(json, "user_agent", request.Headers.UserAgent);
            Field(json, "host", request.Host.Value);
            json.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"; the user is the caller's SPIFFE id.</summary>
    private static byte[] ApacheLine(HttpContext context, MeshPeerFeature? peer, DateTimeOffset begun, long responseBytes)
    {
        var request = context.Request;
        var line = new StringBuilder(256);
        line.Append(Address(context)?.ToString() ?? "-").Append(" - ");
        AppendEscaped(line, peer?.Id.ToString());
        line.Append(begun.ToUniversalTime().ToString(" '['dd/MMM/yyyy:HH:mm:ss '+0000] \"'", CultureInfo.InvariantCulture));
        AppendEscaped(line, request.Method);
        AppendEscaped(line.Append(' '), Uri(context));
        AppendEscaped(line.Append(' '), request.Protocol);
        line.Append(CultureInfo.InvariantCulture, $"\" {context.Response.StatusCode} ").Append(responseBytes == 0 ? "-" : responseBytes.ToString(CultureInfo.InvariantCulture));
        AppendEscaped(line.Append(" \""), request.Headers.Referer);
        AppendEscaped(line.Append("\" \""), request.Headers.UserAgent);
        return Encoding.ASCII.GetBytes(line.Append("\"\n").ToString());
    }

    private byte[] SaysDropped(long dropped) => Encoding.ASCII.GetBytes(_format == MeshAccessLog.Json
        ? string.Create(CultureInfo.InvariantCulture, $"{{\"dropped\":{dropped}}}\n")
        : string.Create(CultureInfo.InvariantCulture, $"# {dropped} lines were dropped\n"));

    private static void Field(Utf8JsonWriter json, string name, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            json.WriteString(name, Cut(value));
        }
    }

    // As Apache does it: quotes, backslashes, and everything that is not printable ASCII.
    private static void AppendEscaped(StringBuilder line, string? value)
    {
        if (string.IsNullOrEmpty(value))
        {
            line.Append('-');
            return;
        }

        Span<byte> bytes = stackalloc byte[4];
        foreach (var rune in Cut(value).EnumerateRunes())
        {
            if (rune.Value is '"' or '\\')
            {
                line.Append('\\').Append((char)rune.Value);
            }
            else if (rune.Value is >= ' ' and <= '~')
            {
                line.Append((char)rune.Value);
            }
            else
            {
                foreach (var b in bytes[..rune.EncodeToUtf8(bytes)])
                {
                    line.Append(CultureInfo.InvariantCulture, $"\\x{b:x2}");
                }
            }
        }
    }

    private static ReadOnlySpan<char> Cut(string value) => value.Length <= MaxFieldLength ? value : value.AsSpan(0, MaxFieldLength);

    private static string Uri(HttpContext context) => context.Features.Get<IHttpRequestFeature>()?.RawTarget is { Length: > 0 } target
        ? target
        : context.Request.Path.ToUriComponent() + context.Request.QueryString.ToUriComponent();

    private static IPAddress? Address(HttpContext context) =>
        context.Connection.RemoteIpAddress is { IsIPv4MappedToIPv6: true } mapped ? mapped.MapToIPv4() : context.Connection.RemoteIpAddress;

    private static long Nanoseconds(TimeSpan time) => time.Ticks * TimeSpan.NanosecondsPerTick;
}
