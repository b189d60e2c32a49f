using Mesh.Concurrency;

namespace Mesh.ControlPlane.Cluster;

/// <summary>One time of leading. Thread-safe.</summary>
internal sealed class LeaderTerm : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly ITimer _timer;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private Appointment _until;
    private bool _ended;

    public LeaderTerm(Appointment until, TimeProvider time)
    {
        (_until, _time) = (until, time);
        Token = _source.Token;
        _timer = time.CreateTimer(_ => Check(), null, After(until), Timeout.InfiniteTimeSpan);
    }

    public CancellationToken Token { get; }

    public bool IsOn()
    {
        lock (_lock)
        {
            return !_ended && _until.Left(_time) > TimeSpan.Zero;
        }
    }

    public void Extend(Appointment until)
    {
        lock (_lock)
        {
            _until = until;
            if (!_ended)
            {
                _timer.Change(After(until), Timeout.InfiniteTimeSpan);
            }
        }
    }

    /// <returns>False when it had ended already.</returns>
    public bool End()
    {
        lock (_lock)
        {
            if (_ended)
            {
                return false;
            }

            _ended = true;
            _timer.Dispose();
        }

        _source.Cancel();
        _source.Dispose();
        return true;
    }

    public void Dispose() => End();

    private TimeSpan After(Appointment until) => until.Left(_time) is var left && left > TimeSpan.Zero ? left : TimeSpan.Zero;

    private void Check()
    {
        lock (_lock)
        {
            if (!_ended && _until.Left(_time) > TimeSpan.Zero)
            {
                _timer.Change(After(_until), Timeout.InfiniteTimeSpan);
                return;
            }
        }

        End();
    }
}
