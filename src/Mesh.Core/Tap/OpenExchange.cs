namespace Mesh.Tap;

/// <summary>A request that began while somebody looks. Goes it on for a while, it is shown as open; its end is shown under the same number. Thread-safe.</summary>
/// <remarks>It is read in another flow than its own, and its parts are used again for other requests when it is over: so it is read under the lock, and <see cref="End"/> waits for that.</remarks>
/// <param name="start">Timestamp.</param>
internal abstract class OpenExchange(long start)
{
    /// <summary>What ends sooner is shown at its end alone.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private bool _isOver;
    private string[] _told = [];
    private long _number;

    public long Start => start;

    /// <summary>The request is over: nothing of it is read any more.</summary>
    public void End()
    {
        lock (_lock)
        {
            _isOver = true;
        }
    }

    /// <summary>The number under which a tap was shown it; 0: it was not.</summary>
    public long NumberFor(ActiveTap tap)
    {
        lock (_lock)
        {
            return Array.IndexOf(_told, tap.Settings.Id) >= 0 ? _number : 0;
        }
    }

    /// <summary>Shows it to those who want it, if it still goes on.</summary>
    /// <param name="number">Of none before it.</param>
    public void Show(TapPoint point, ActiveTap[] taps, long number)
    {
        lock (_lock)
        {
            if (_isOver)
            {
                return;
            }

            _number = number;
            foreach (var tap in taps)
            {
                try
                {
                    var now = point.Time.GetTimestamp();
                    var facts = Facts(point.Time.GetElapsedTime(start, now));
                    if (tap.Settings.Opens && tap.Wants(facts, now) && point.Offer(tap, Copy(point, tap, facts) with { Open = true, Stream = number }))
                    {
                        _told = [.. _told, tap.Settings.Id];
                    }
                }
                catch (Exception e) when (e is InvalidOperationException or ArgumentException or NullReferenceException or IndexOutOfRangeException)
                {
                    // The app changes the request's headers at this moment: they are its own, and no lock guards them.
                    tap.Drop();
                }
            }
        }
    }

    /// <param name="latency">So far.</param>
    protected abstract TapFacts Facts(TimeSpan latency);

    protected abstract TapExchange Copy(TapPoint point, ActiveTap tap, in TapFacts facts);
}
