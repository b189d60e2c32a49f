using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>The time that a document is about.</summary>
/// <param name="Now">When it is made.</param>
internal readonly record struct InsightTime(DateTimeOffset Now, DateTimeOffset From, DateTimeOffset To)
{
    /// <summary>What is only known of now (who is connected, which endpoint is ready, what is configured) says nothing of it.</summary>
    public bool IsPast => Now - To > GoldenQuery.StillNow;

    public TimeSpan Length => To - From;

    public static InsightTime Last(TimeSpan window, DateTimeOffset now) => new(now, now - window, now);

    public bool Has(DateTimeOffset at) => at >= From && at <= To;
}
