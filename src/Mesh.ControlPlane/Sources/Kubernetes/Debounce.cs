namespace Mesh.ControlPlane.Sources.Kubernetes;

/// <summary>Joins what comes together: acts once it was quiet for a moment, or when the first has waited long enough. Thread-safe.</summary>
internal sealed class Debounce : IAsyncDisposable
{
    /// <summary>Of constant change at most a fifth of the time is spent on acting, as far as the longest wait lets it.</summary>
    private const int TimesOfAction = 4;

    private readonly TimeSpan _quiet;
    private readonly TimeSpan _longest;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly Lock _lock = new();

    // Guarded by the lock.
    private long? _first;
    private TimeSpan _mostWait;

    public Debounce(TimeSpan quiet, TimeSpan longest, TimeProvider time, Action act)
    {
        (_quiet, _longest, _time, _mostWait) = (quiet, longest, time, quiet);
        _timer = time.CreateTimer(_ =>
        {
            lock (_lock)
            {
                _first = null;
            }

            act();
        }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Something changed.</summary>
    public void Ask()
    {
        lock (_lock)
        {
            _first ??= _time.GetTimestamp();
            var left = _mostWait - _time.GetElapsedTime(_first.Value);
            try
            {
                _timer.Change(left < TimeSpan.Zero ? TimeSpan.Zero : left < _quiet ? left : _quiet, Timeout.InfiniteTimeSpan);
            }
            catch (ObjectDisposedException)
            {
                // Stopping.
            }
        }
    }

    /// <summary>What acting costs decides how long changes wait when they do not pause.</summary>
    public void Took(TimeSpan time)
    {
        var wait = TimesOfAction * time;
        lock (_lock)
        {
            _mostWait = wait < _quiet ? _quiet : wait > _longest ? _longest : wait;
        }
    }

    public ValueTask DisposeAsync() => _timer.DisposeAsync();
}
