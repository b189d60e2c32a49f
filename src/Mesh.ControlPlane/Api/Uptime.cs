namespace Mesh.ControlPlane.Api;

/// <summary>When this control plane started.</summary>
internal sealed class Uptime(TimeProvider time)
{
    private readonly long _started = time.GetTimestamp();

    public DateTimeOffset StartedAt { get; } = time.GetUtcNow();

    public TimeSpan Elapsed => time.GetElapsedTime(_started);
}
