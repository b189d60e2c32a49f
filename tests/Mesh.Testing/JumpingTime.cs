using Microsoft.Extensions.Time.Testing;

namespace Mesh.Testing;

/// <summary>Two clocks that part: the wall clock can be set, or run on while the machine sleeps; timers and timestamps go by the other one.</summary>
internal sealed class JumpingTime(DateTimeOffset start) : FakeTimeProvider(start)
{
    private long _offset;

    /// <summary>Sets the wall clock forward or back; no timer is nearer for that.</summary>
    public void Jump(TimeSpan by) => Interlocked.Add(ref _offset, by.Ticks);

    public override long GetTimestamp() => base.GetUtcNow().Ticks;

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + TimeSpan.FromTicks(Interlocked.Read(ref _offset));
}
