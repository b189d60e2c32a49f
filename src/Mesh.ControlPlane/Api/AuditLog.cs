using System.Text.Encodings.Web;
using System.Text.Json;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Api;

/// <summary>The audit log: audit.jsonl in the data folder, three files of 10 MB at most, and the log.</summary>
internal sealed partial class AuditLog : IAuditLog
{
    private const string FileName = "audit.jsonl";
    private const int Files = 3;
    private const long MaxFileBytes = 10 * 1024 * 1024;
    private const int MaxNewest = 1_000;
    private const int MaxText = 1_000;

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly DataFolder _data;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly long _maxFileBytes;

    // Guards all below and the files.
    private readonly Lock _lock = new();
    private readonly Queue<AuditEntry> _newest = new();
    private long _bytes;

    public AuditLog(DataFolder data, TimeProvider time, ILogger<AuditLog> logger)
        : this(data, time, logger, MaxFileBytes)
    {
    }

    internal AuditLog(DataFolder data, TimeProvider time, ILogger<AuditLog> logger, long maxFileBytes)
    {
        (_data, _time, _logger, _maxFileBytes) = (data, time, logger, maxFileBytes);
        try
        {
            for (var i = Files - 1; i >= 0; i--)
            {
                ReadBack(Name(i));
            }

            _bytes = data.Exists(FileName) ? new FileInfo(data.File(FileName)).Length : 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.NotKept(_logger, e.Message);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<AuditEntry> Newest
    {
        get
        {
            lock (_lock)
            {
                return [.. _newest.Reverse()];
            }
        }
    }

    /// <inheritdoc/>
    public void Write(HttpContext context, string what, int? status = null)
    {
        var entry = new AuditEntry(
            _time.GetUtcNow(), context.Features.Get<ApiCaller>()?.Name ?? "unknown", context.Connection.RemoteIpAddress?.ToString() ?? "unknown",
            what.Length <= MaxText ? what : what[..MaxText] + "…", status ?? context.Response.StatusCode);
        Log.Audited(_logger, entry.Who, entry.From, entry.What, entry.Status);
        lock (_lock)
        {
            RememberLocked(entry);
            try
            {
                var line = JsonSerializer.SerializeToUtf8Bytes(entry, Json);
                if (_bytes + line.Length > _maxFileBytes)
                {
                    RotateLocked();
                }

                _data.Append(FileName, line);
                _bytes += line.Length + 1;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Log.NotKept(_logger, e.Message);
            }
        }
    }

    private static string Name(int age) => age == 0 ? FileName : $"{FileName}.{age}";

    private void RememberLocked(AuditEntry entry)
    {
        _newest.Enqueue(entry);
        if (_newest.Count > MaxNewest)
        {
            _newest.Dequeue();
        }
    }

    private void RotateLocked()
    {
        for (var i = Files - 2; i >= 0; i--)
        {
            if (_data.Exists(Name(i)))
            {
                File.Move(_data.File(Name(i)), _data.File(Name(i + 1)), overwrite: true);
            }
        }

        _bytes = 0;
    }

    private void ReadBack(string name)
    {
        if (!_data.Exists(name))
        {
            return;
        }

        foreach (var line in File.ReadLines(_data.File(name)))
        {
            try
            {
                if (JsonSerializer.Deserialize<AuditEntry>(line, Json) is { Who: not null, What: not null } entry)
                {
                    RememberLocked(entry);
                }
            }
            catch (JsonException)
            {
                // A line that a full disk has cut: the others are good.
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4810, LogLevel.Information, "{Who} from {From}: {What} ({Status})", EventName = nameof(Audited))]
        public static partial void Audited(ILogger logger, string who, string from, string what, int status);

        [LoggerMessage(4811, LogLevel.Error, "The audit log can't be kept: {Problem}", EventName = nameof(NotKept))]
        public static partial void NotKept(ILogger logger, string problem);
    }
}
