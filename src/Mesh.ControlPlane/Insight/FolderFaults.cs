using System.Collections.Immutable;
using System.Text.Json;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;

namespace Mesh.ControlPlane.Insight;

/// <summary>Temporary faults of a mesh that is configured by a folder: laid over it, and kept in the data folder, so that a restart neither ends nor prolongs them.</summary>
internal sealed partial class FolderFaults : ITemporaryFaults, IAsyncDisposable
{
    private const string FileName = "faults.json";
    private readonly DataFolder _data;
    private readonly ManifestOverlay _overlay;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ITimer _expiry;

    // Guards the faults, and that file and overlay follow each other.
    private readonly Lock _lock = new();
    private ImmutableArray<TemporaryFault> _all = [];

    public FolderFaults(DataFolder data, ManifestOverlay overlay, TimeProvider time, ILogger<FolderFaults> logger)
    {
        (_data, _overlay, _time, _logger) = (data, overlay, time, logger);
        _expiry = time.CreateTimer(_ => RemoveExpired(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        lock (_lock)
        {
            _all = [.. ReadBack().Where(f => f.ExpiresAt > time.GetUtcNow())];
            ApplyLocked();
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<TemporaryFault> All
    {
        get
        {
            lock (_lock)
            {
                return _all;
            }
        }
    }

    /// <inheritdoc/>
    public Task AddAsync(TemporaryFault fault, CancellationToken cancellationToken)
    {
        Replace(all => [.. all.Where(f => f.Name != fault.Name), fault]);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task<bool> RemoveAsync(string id, CancellationToken cancellationToken) => Task.FromResult(Replace(all => all.RemoveAll(f => f.Id == id)));

    public ValueTask DisposeAsync() => _expiry.DisposeAsync();

    private void RemoveExpired()
    {
        try
        {
            Replace(all => all.RemoveAll(f => f.ExpiresAt <= _time.GetUtcNow()));
        }
        catch (StateNotKeptException e)
        {
            // Over it is all the same: its policy says when it ends.
            Log.NotRemoved(_logger, e.Message);
        }
    }

    private bool Replace(Func<ImmutableArray<TemporaryFault>, ImmutableArray<TemporaryFault>> change)
    {
        lock (_lock)
        {
            var next = change(_all);
            if (next == _all)
            {
                // Also when the timer came a moment early.
                ScheduleLocked();
                return false;
            }

            try
            {
                _data.Write(FileName, JsonSerializer.Serialize(next, JsonSerializerOptions.Web), secret: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new StateNotKeptException($"Faults can't be kept in {_data.File(FileName)}: {e.Message} Make room or give write permission.", e);
            }

            _all = next;
            ApplyLocked();
            return true;
        }
    }

    private void ApplyLocked()
    {
        _overlay.Set(_all.Select(f => f.Read()));
        ScheduleLocked();
    }

    private void ScheduleLocked()
    {
        var wait = _all.IsEmpty ? Timeout.InfiniteTimeSpan : _all.Min(f => f.ExpiresAt) - _time.GetUtcNow();
        // A moment after its end, and never in the past.
        _expiry.Change(_all.IsEmpty ? wait : TimeSpan.FromMilliseconds(Math.Max(1, Math.Ceiling(wait.TotalMilliseconds))), Timeout.InfiniteTimeSpan);
    }

    private ImmutableArray<TemporaryFault> ReadBack()
    {
        try
        {
            return _data.Exists(FileName) ? JsonSerializer.Deserialize<ImmutableArray<TemporaryFault>>(_data.ReadText(FileName), JsonSerializerOptions.Web) : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            Log.NotRead(_logger, e.Message);
            return [];
        }
    }

    private static partial class Log
    {
        [LoggerMessage(5405, LogLevel.Warning, "Faults that are over could not be removed from the data folder: {Problem}", EventName = nameof(NotRemoved))]
        public static partial void NotRemoved(ILogger logger, string problem);

        [LoggerMessage(5406, LogLevel.Warning, "Faults that were asked for before the restart can't be read and are over: {Problem}", EventName = nameof(NotRead))]
        public static partial void NotRead(ILogger logger, string problem);
    }
}
