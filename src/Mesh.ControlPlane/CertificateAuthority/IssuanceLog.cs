using System.Text.Json;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>One certificate that was issued.</summary>
/// <param name="Node">The node id that the asker gave itself, as on its ADS stream; else its address.</param>
internal sealed record Issuance(string Identity, string Node, string Serial, DateTimeOffset IssuedAt, DateTimeOffset NotBefore, DateTimeOffset NotAfter)
{
    /// <summary>Id of the root it is under; null in lines of versions that had one root.</summary>
    public string? Root { get; init; }

    /// <summary>Version of the roots that were given with it.</summary>
    public string? Roots { get; init; }

    /// <summary>Subject of the certificate that signed it.</summary>
    public string? Issuer { get; init; }

    public string? Key { get; init; }

    /// <summary>How the asker showed who it is.</summary>
    public string? Attested { get; init; }

    /// <summary>Of some in the order of their issue, the newest: the clock may have stood still between two.</summary>
    public static Issuance Newest(IEnumerable<Issuance> some) => some.Aggregate((newest, next) => next.IssuedAt >= newest.IssuedAt ? next : newest);
}

/// <summary>What was issued: all in issued.jsonl; in memory the newest, and all that are not over, read back at start. Thread-safe.</summary>
internal sealed partial class IssuanceLog
{
    private const string FileName = "issued.jsonl";
    private const string EarlierFile = FileName + ".1";
    private const int MaxNewest = 5_000;
    private const int MaxLive = 100_000;
    private const long MaxFileBytes = 64 * 1024 * 1024;
    private readonly DataFolder _data;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _lock = new();
    private readonly Queue<Issuance> _newest = new();
    private readonly LinkedList<Issuance> _live = new();
    private readonly Dictionary<string, Issuance> _beyond = new(StringComparer.Ordinal);
    private int _sweepAt = 1_000;
    private long _count;
    private long _refused;

    public IssuanceLog(DataFolder data, TimeProvider time, ILogger<IssuanceLog> logger)
    {
        (_data, _time, _logger) = (data, time, logger);
        var broken = 0;
        foreach (var name in new[] { EarlierFile, FileName })
        {
            if (data.Exists(name))
            {
                broken += ReadBack(name);
            }
        }

        if (broken > 0)
        {
            Log.LinesBroken(logger, broken);
        }
    }

    /// <summary>Issued since start.</summary>
    public long Count => Interlocked.Read(ref _count);

    /// <summary>Requests refused since start.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>Newest first.</summary>
    public IReadOnlyList<Issuance> Newest
    {
        get
        {
            lock (_lock)
            {
                return [.. _newest.Reverse()];
            }
        }
    }

    /// <summary>All that are not over, oldest first. Of more than can be kept, one for each root stands for the rest, with the latest end.</summary>
    public IReadOnlyList<Issuance> Live
    {
        get
        {
            lock (_lock)
            {
                var now = _time.GetUtcNow();
                return [.. _beyond.Values.Concat(_live).Where(i => i.NotAfter > now)];
            }
        }
    }

    public void CountRefused() => Interlocked.Increment(ref _refused);

    public void Add(Issuance issuance)
    {
        lock (_lock)
        {
            Interlocked.Increment(ref _count);
            KeepLocked(issuance);
            try
            {
                var file = new FileInfo(_data.File(FileName));
                if (file.Exists && file.Length > MaxFileBytes)
                {
                    file.MoveTo(_data.File(EarlierFile), overwrite: true);
                }

                _data.Append(FileName, JsonSerializer.SerializeToUtf8Bytes(issuance, JsonSerializerOptions.Web));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Log.NotWritten(_logger, issuance.Serial, e);
            }
        }
    }

    private void KeepLocked(Issuance issuance)
    {
        _newest.Enqueue(issuance);
        if (_newest.Count > MaxNewest)
        {
            _newest.Dequeue();
        }

        var now = _time.GetUtcNow();
        if (issuance.NotAfter <= now)
        {
            return;
        }

        _live.AddLast(issuance);
        if (_live.Count > _sweepAt)
        {
            for (var node = _live.First; node is not null;)
            {
                var next = node.Next;
                if (node.Value.NotAfter <= now)
                {
                    _live.Remove(node);
                }

                node = next;
            }

            _sweepAt = Math.Max(1_000, _live.Count * 2);
        }

        if (_live.Count > MaxLive)
        {
            var oldest = _live.First!.Value;
            _live.RemoveFirst();
            var root = oldest.Root ?? string.Empty;
            if (!_beyond.TryGetValue(root, out var rest) || rest.NotAfter < oldest.NotAfter)
            {
                _beyond[root] = oldest with { Identity = "others", Node = "others", Serial = string.Empty, Roots = null };
            }
        }
    }

    /// <returns>How many lines could not be read.</returns>
    private int ReadBack(string name)
    {
        var broken = 0;
        lock (_lock)
        {
            foreach (var line in File.ReadLines(_data.File(name)))
            {
                try
                {
                    if (JsonSerializer.Deserialize<Issuance>(line, JsonSerializerOptions.Web) is { Identity: not null, Node: not null, Serial: not null } issuance)
                    {
                        KeepLocked(issuance);
                    }
                }
                catch (JsonException)
                {
                    // Half a line of a crash, for one.
                    broken++;
                }
            }
        }

        return broken;
    }

    private static partial class Log
    {
        [LoggerMessage(4600, LogLevel.Error, "Certificate {Serial} was issued but could not be noted in issued.jsonl. Check the data folder.", EventName = nameof(NotWritten))]
        public static partial void NotWritten(ILogger logger, string serial, Exception exception);

        [LoggerMessage(4601, LogLevel.Warning, "{Count} lines of issued.jsonl could not be read and are passed over", EventName = nameof(LinesBroken))]
        public static partial void LinesBroken(ILogger logger, int count);
    }
}
