using System.Text.Encodings.Web;
using System.Text.Json;
using System.Threading.Channels;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Insight;

/// <summary>What changed when: the newest in memory, and in changes.jsonl so that they outlive a restart. Thread-safe.</summary>
internal sealed partial class ChangeLog : BackgroundService
{
    public const int Most = 2_000;

    private const string FileName = "changes.jsonl";

    /// <summary>A line is at most so long: names come from others.</summary>
    private const int MaxText = 500;

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly DataFolder _data;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Channel<MeshChange> _toWrite = Channel.CreateBounded<MeshChange>(new BoundedChannelOptions(Most) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    private readonly Lock _lock = new();

    // Guarded by the lock; oldest first.
    private readonly LinkedList<MeshChange> _all = new();
    private Action? _added;
    private long _version;
    private int _lines;
    private bool _told;

    public ChangeLog(DataFolder data, TimeProvider time, ILogger<ChangeLog> logger)
    {
        (_data, _time, _logger) = (data, time, logger);
        try
        {
            ReadBack();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.NotKept(_logger, e.Message);
        }
    }

    /// <summary>When this process's part began, or the oldest change that is still known.</summary>
    public DateTimeOffset ReachesBackTo
    {
        get
        {
            lock (_lock)
            {
                return _all.First?.Value.At ?? _time.GetUtcNow();
            }
        }
    }

    /// <summary>Of the configuration in force: counted from the first, over restarts.</summary>
    public string Version => Interlocked.Read(ref _version).ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>What follows is another configuration than before.</summary>
    public void NextVersion() => Interlocked.Increment(ref _version);

    public void Add(string kind, string what, string? ns = null, string? service = null, bool recovery = false)
    {
        var change = new MeshChange(_time.GetUtcNow(), kind, what.Length <= MaxText ? what : what[..MaxText] + "…", ns, service, Version) { Recovery = recovery };
        Action? added;
        lock (_lock)
        {
            _all.AddLast(change);
            while (_all.Count > Most)
            {
                _all.RemoveFirst();
            }

            added = _added;
        }

        _toWrite.Writer.TryWrite(change);
        added?.Invoke();
    }

    /// <summary>Called after each change; it must not block or throw.</summary>
    public void Subscribe(Action added)
    {
        lock (_lock)
        {
            _added += added;
        }
    }

    /// <summary>Newest first.</summary>
    public IReadOnlyList<MeshChange> Newest(int most, Func<MeshChange, bool>? which = null)
    {
        var found = new List<MeshChange>();
        lock (_lock)
        {
            for (var node = _all.Last; node is not null && found.Count < most; node = node.Previous)
            {
                if (which is null || which(node.Value))
                {
                    found.Add(node.Value);
                }
            }
        }

        return found;
    }

    /// <summary>About a Service, newest first.</summary>
    public IReadOnlyList<MeshChange> Of(string ns, string service, int most) => Newest(most, c => c.Namespace == ns && c.Service == service);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        _toWrite.Writer.TryComplete();
        if (ExecuteTask is { } writing)
        {
            // It may not have begun: cancelled now it never would.
            await writing.WaitAsync(cancellationToken);
        }

        await base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // To the end of what is queued: writing is quick, and what was changed last is asked for first after a restart.
        await foreach (var change in _toWrite.Reader.ReadAllAsync(CancellationToken.None))
        {
            try
            {
                Keep(change);
                _told = false;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                if (!_told)
                {
                    Log.NotKept(_logger, e.Message);
                }

                _told = true;
            }
        }
    }

    private void Keep(MeshChange change)
    {
        if (_lines < 2 * Most)
        {
            _data.Append(FileName, JsonSerializer.SerializeToUtf8Bytes(change, Json));
            _lines++;
            return;
        }

        MeshChange[] all;
        lock (_lock)
        {
            all = [.. _all];
        }

        _data.Write(FileName, string.Concat(all.Select(c => JsonSerializer.Serialize(c, Json) + "\n")), secret: true);
        _lines = all.Length;
    }

    private void ReadBack()
    {
        if (!_data.Exists(FileName))
        {
            return;
        }

        foreach (var line in _data.ReadText(FileName).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            _lines++;
            MeshChange? change = null;
            try
            {
                change = JsonSerializer.Deserialize<MeshChange>(line, Json);
            }
            catch (JsonException)
            {
                // A line that a full disk has cut: the others are good.
            }

            if (change is not { Kind: not null, What: not null })
            {
                continue;
            }

            _all.AddLast(change);
            if (_all.Count > Most)
            {
                _all.RemoveFirst();
            }

            _version = long.TryParse(change.Version, System.Globalization.CultureInfo.InvariantCulture, out var version) && version > _version ? version : _version;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(5400, LogLevel.Warning, "Changes can't be kept over a restart: {Problem}", EventName = nameof(NotKept))]
        public static partial void NotKept(ILogger logger, string problem);
    }
}
