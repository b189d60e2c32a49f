using Microsoft.Data.Sqlite;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>The file of the data folder, and what to do when it can't be used: a damaged or foreign one is moved aside, a full disk is waited for in memory. Not thread-safe: owned by the store's lock of files.</summary>
internal sealed partial class DiskSlots : ISlotFile
{
    public const string FileName = "golden.db";

    /// <summary>What waits for the disk at most; older goes first.</summary>
    private const long MostWaiting = 64L << 20;

    private const int Corrupt = 11;
    private const int NotADatabase = 26;

    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly FileStream _lock;
    private readonly List<SlotBatch> _waiting = [];
    private SqliteSlots _disk;
    private long _waitingBytes;

    private DiskSlots(string path, FileStream owned, TimeProvider time, ILogger logger)
    {
        (_path, _lock, _time, _logger) = (path, owned, time, logger);
        _disk = OpenOrMoveAside();
    }

    /// <inheritdoc/>
    public string Kind => _waiting.Count == 0 ? "disk" : "memory";

    /// <inheritdoc/>
    public long Bytes => _disk.Bytes + _waitingBytes;

    /// <inheritdoc/>
    public long Losses { get; private set; }

    /// <summary>The folder's file; memory, with a warning, where that belongs to another process or can't be made.</summary>
    public static ISlotFile Open(string folder, TimeProvider time, ILogger logger)
    {
        var path = Path.Combine(folder, FileName);
        FileStream? owned = null;
        try
        {
            owned = new FileStream(path + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return new DiskSlots(path, owned, time, logger);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SqliteException)
        {
            owned?.Dispose();
            Log.NotOurs(logger, path, e.Message);
            return new MemorySlots();
        }
    }

    /// <inheritdoc/>
    public SavedState Load() => _disk.Load();

    /// <inheritdoc/>
    public void Write(SlotBatch batch)
    {
        _waiting.Add(batch);
        _waitingBytes += batch.Parts.Sum(p => p.Bytes.LongLength);
        try
        {
            var waited = _waiting.Count > 1;
            while (_waiting.Count > 0)
            {
                _disk.Write(_waiting[0]);
                Forget(_waiting[0]);
            }

            if (waited)
            {
                Log.WritesAgain(_logger, _path);
            }
        }
        catch (SqliteException e) when (IsDamage(e))
        {
            Replace(e);
        }
        catch (SqliteException e)
        {
            if (_waiting.Count == 1)
            {
                Log.NotWritten(_logger, _path, e.Message);
            }

            while (_waitingBytes > MostWaiting)
            {
                Losses++;
                Forget(_waiting[0]);
            }
        }
    }

    /// <inheritdoc/>
    public IEnumerable<SlotPart> Read(SlotTier tier, long from, long to)
    {
        // A part at a time, so that damage that shows while it is read ends the reading only.
        using var parts = _disk.Read(tier, from, to).GetEnumerator();
        while (true)
        {
            try
            {
                if (!parts.MoveNext())
                {
                    break;
                }
            }
            catch (SqliteException e)
            {
                Losses++;
                Log.NotRead(_logger, _path, e.Message);
                break;
            }

            yield return parts.Current;
        }

        foreach (var part in _waiting.SelectMany(b => b.Parts).Where(p => p.Tier == tier && p.Slot >= from && p.Slot < to))
        {
            yield return part;
        }
    }

    /// <inheritdoc/>
    public long? Oldest(SlotTier tier)
    {
        var waiting = _waiting.SelectMany(b => b.Parts).Where(p => p.Tier == tier).Select(p => (long?)p.Slot).Min();
        var disk = Try(() => _disk.Oldest(tier), null);
        return disk is null || waiting < disk ? waiting ?? disk : disk;
    }

    /// <inheritdoc/>
    public void Drop(SlotTier tier, long before)
    {
        // A disk that takes nothing takes no deletion either: it is done with the next write that succeeds.
        if (_waiting.Count == 0)
        {
            Try<object?>(
                () =>
                {
                    _disk.Drop(tier, before);
                    return null;
                },
                null);
        }
    }

    public void Dispose()
    {
        _disk.Dispose();
        _lock.Dispose();
    }

    private static bool IsDamage(SqliteException e) => e.SqliteErrorCode is Corrupt or NotADatabase;

    private T Try<T>(Func<T> ask, T otherwise)
    {
        try
        {
            return ask();
        }
        catch (SqliteException e)
        {
            Log.NotRead(_logger, _path, e.Message);
            return otherwise;
        }
    }

    private void Forget(SlotBatch batch)
    {
        _waiting.Remove(batch);
        _waitingBytes -= batch.Parts.Sum(p => p.Bytes.LongLength);
    }

    /// <summary>It broke while it was in use: what waits begins a new one.</summary>
    private void Replace(SqliteException e)
    {
        Losses++;
        _disk.Dispose();
        MoveAside(e.Message);
        _disk = SqliteSlots.Open(_path);
    }

    private SqliteSlots OpenOrMoveAside()
    {
        try
        {
            return SqliteSlots.Open(_path);
        }
        catch (Exception e) when (e is InvalidDataException || (e is SqliteException sqlite && IsDamage(sqlite)))
        {
            MoveAside(e.Message);
            return SqliteSlots.Open(_path);
        }
    }

    private void MoveAside(string why)
    {
        var aside = $"{_path}.aside-{_time.GetUtcNow():yyyyMMddHHmmssfff}";
        foreach (var suffix in new[] { string.Empty, "-wal", "-shm" })
        {
            if (File.Exists(_path + suffix))
            {
                File.Move(_path + suffix, aside + suffix, overwrite: true);
            }
        }

        Log.MovedAside(_logger, _path, aside, why);
    }

    private static partial class Log
    {
        [LoggerMessage(4711, LogLevel.Warning, "The history of measurements '{File}' can't be used and was moved to '{Aside}'; a new one begins. {Problem}", EventName = nameof(MovedAside))]
        public static partial void MovedAside(ILogger logger, string file, string aside, string problem);

        [LoggerMessage(4712, LogLevel.Warning, "The history of measurements '{File}' can't be opened ({Problem}): it is kept in memory, and goes with this process. Where another control plane has it, give this one its own folder with --data DIR", EventName = nameof(NotOurs))]
        public static partial void NotOurs(ILogger logger, string file, string problem);

        [LoggerMessage(4713, LogLevel.Warning, "Measurements can't be written to '{File}' ({Problem}): they are kept in memory and written when that is possible again. Make room on the disk", EventName = nameof(NotWritten))]
        public static partial void NotWritten(ILogger logger, string file, string problem);

        [LoggerMessage(4714, LogLevel.Information, "Measurements are written to '{File}' again", EventName = nameof(WritesAgain))]
        public static partial void WritesAgain(ILogger logger, string file);

        [LoggerMessage(4715, LogLevel.Warning, "The history of measurements '{File}' can't be read: {Problem}", EventName = nameof(NotRead))]
        public static partial void NotRead(ILogger logger, string file, string problem);
    }
}
