namespace Mesh.ControlPlane.Telemetry;

/// <summary>What became of one signal's messages. Counters, but for what is to be told.</summary>
internal sealed class OtlpCounts
{
    public long Sent;
    public long Dropped;
    public long Rejected;
    public long Retried;

    // Owned by the one who sends.
    public long Untold;
    public long? ToldAt;
}
