using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mesh.Server.Logging;
using Microsoft.Extensions.Logging;

namespace Mesh.Transparent.Admin;

/// <summary>Writes log entries, one line each: plain or JSON, without color. Thread-safe.</summary>
internal sealed class LineLoggerProvider : ILoggerProvider, IAsyncDisposable
{
    private static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private readonly LogFormat _format;
    private readonly TimeProvider _time;
    private readonly LineWriter _lines;

    public LineLoggerProvider(LogFormat format, Stream stream, TimeProvider time)
    {
        (_format, _time) = (format, time);
        _lines = new LineWriter(stream, dropped => Line("Mesh.Transparent.Log", LogLevel.Warning, default, $"{dropped} log entries were dropped: nobody reads them fast enough", null), time);
    }

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => new LineLogger(this, categoryName);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _lines.DisposeAsync();

    /// <summary>Writes what waits.</summary>
    public void Dispose()
    {
        // The logger factory of a program that ends knows no other way; the wait is bounded.
        var disposing = _lines.DisposeAsync();
        if (!disposing.IsCompleted)
        {
#pragma warning disable VSTHRD002 // nothing else runs any more, and nothing in it comes back to this thread
            disposing.AsTask().GetAwaiter().GetResult();
#pragma warning restore VSTHRD002
        }
    }

    private byte[] Line(string category, LogLevel level, EventId id, string message, Exception? exception) =>
        _format == LogFormat.Json ? JsonLine(category, level, id, message, exception) : PlainLine(category, level, id, message, exception);

    private byte[] PlainLine(string category, LogLevel level, EventId id, string message, Exception? exception)
    {
        var line = new StringBuilder(256);
        line.Append(Now()).Append(' ').Append(LogFilters.Word(level)).Append(' ').Append(category);
        if (id.Id != 0)
        {
            line.Append(CultureInfo.InvariantCulture, $"[{id.Id}]");
        }

        AppendEscaped(line.Append(' '), message);
        if (TraceId() is { } trace)
        {
            line.Append(" trace_id=").Append(trace);
        }

        if (exception is not null)
        {
            AppendEscaped(line.Append(" | "), exception.ToString());
        }

        return Encoding.UTF8.GetBytes(line.Append('\n').ToString());
    }

    private byte[] JsonLine(string category, LogLevel level, EventId id, string message, Exception? exception)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, Json))
        {
            json.WriteStartObject();
            json.WriteString("timestamp", Now());
            json.WriteString("level", LogFilters.Word(level));
            json.WriteString("category", category);
            if (id.Id != 0)
            {
                json.WriteNumber("id", id.Id);
            }

            if (id.Name is { Length: > 0 } name)
            {
                json.WriteString("event", name);
            }

            json.WriteString("message", message);
            if (TraceId() is { } trace)
            {
                json.WriteString("trace_id", trace);
            }

            if (exception is not null)
            {
                json.WriteString("exception", exception.ToString());
            }

            json.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Of the request that is being served, where it is traced.</summary>
    private static string? TraceId() => Activity.Current is { IdFormat: ActivityIdFormat.W3C } span ? span.TraceId.ToHexString() : null;

    private string Now() => _time.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>A message holds what peers sent: it must not begin a line of its own, nor talk to a terminal.</summary>
    private static void AppendEscaped(StringBuilder line, string text)
    {
        foreach (var c in text)
        {
            _ = c switch
            {
                '\n' => line.Append("\\n"),
                '\r' => line.Append("\\r"),
                '\t' => line.Append("\\t"),
                _ when char.IsControl(c) || c is '\u2028' or '\u2029' => line.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => line.Append(c),
            };
        }
    }

    private sealed class LineLogger(LineLoggerProvider provider, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                provider._lines.Write(provider.Line(category, logLevel, eventId, formatter(state, exception), exception));
            }
        }
    }
}
