using System.Collections.Concurrent;
using Microsoft.Extensions.Time.Testing;

namespace Mesh.Testing;

/// <summary>Fake time that remembers every timer asked of it: shows a back-off without waiting for it.</summary>
public sealed class RecordingTimeProvider : FakeTimeProvider
{
    private readonly ConcurrentQueue<TimeSpan> _timers = new();

    /// <summary>The due times of all timers made so far, in order.</summary>
    public IReadOnlyList<TimeSpan> Timers => [.. _timers];

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = base.CreateTimer(callback, state, dueTime, period);
        _timers.Enqueue(dueTime);
        return timer;
    }
}
