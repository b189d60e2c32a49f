using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What TimeoutPolicy says. Zero is none.</summary>
internal static class TimeoutSettings
{
    public static readonly Setting<TimeSpan> Request = new("timeout.request", TimeSpan.Zero, Shown.Time);

    /// <summary>Also <c>perTryTimeout</c> of a RetryPolicy.</summary>
    public static readonly Setting<TimeSpan> Attempt = new("timeout.attempt", TimeSpan.Zero, Shown.Time);

    public static readonly Setting<TimeSpan> ResponseHeaders = new("timeout.responseHeaders", TimeSpan.Zero, Shown.Time);

    public static readonly Setting<TimeSpan> Idle = new("timeout.idle", TimeSpan.Zero, Shown.Time);

    public static readonly Setting<TimeSpan> Connect = new("timeout.connect", TimeSpan.FromSeconds(5), Shown.Time);

    public static readonly ImmutableArray<Setting> All = [Request, Attempt, ResponseHeaders, Idle, Connect];
}
