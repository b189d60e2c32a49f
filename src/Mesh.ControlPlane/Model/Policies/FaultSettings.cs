using System.Collections.Immutable;
using System.Globalization;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What FaultPolicy says.</summary>
internal static class FaultSettings
{
    public static readonly Setting<Fault> Fault = new("fault.injection", Policies.Fault.None, f => f.ToString());

    public static readonly ImmutableArray<Setting> All = [Fault];
}

/// <summary>An experiment: one value, so that no part of it outlives the end that its policy names.</summary>
/// <param name="Delay">Zero is none.</param>
/// <param name="AbortHttpStatus">0 is none.</param>
/// <param name="AbortGrpcStatus">0 is none.</param>
/// <param name="HeaderDriven">Delay and status come from the request's own headers.</param>
/// <param name="Headers">Only calls that match all of these.</param>
/// <param name="ExpiresAt">Null is never.</param>
internal sealed record Fault(
    TimeSpan Delay, int DelayPercent, int AbortHttpStatus, int AbortGrpcStatus, int AbortPercent, bool HeaderDriven,
    ImmutableArray<NameValueMatch> Headers, DateTimeOffset? ExpiresAt)
{
    public static readonly Fault None = new(TimeSpan.Zero, 0, 0, 0, 0, false, [], null);

    public bool IsNone => Delay == TimeSpan.Zero && AbortHttpStatus == 0 && AbortGrpcStatus == 0 && !HeaderDriven;

    public override string ToString()
    {
        if (IsNone)
        {
            return "none";
        }

        string[] parts =
        [
            HeaderDriven ? "as the request's headers say"
                : string.Join(" and ", new[]
                {
                    Delay == TimeSpan.Zero ? null : $"+{Shown.Length(Delay)} for {DelayPercent} %",
                    AbortHttpStatus == 0 ? null : $"HTTP {AbortHttpStatus} for {AbortPercent} %",
                    AbortGrpcStatus == 0 ? null : $"gRPC status {AbortGrpcStatus} for {AbortPercent} %",
                }.OfType<string>()),
            .. Headers.IsEmpty ? (string[])[] : [$"when {Shown.List(Headers, h => h.ToString())}"],
            ExpiresAt is { } end ? string.Create(CultureInfo.InvariantCulture, $"until {end.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss'Z'}") : "without end",
        ];
        return string.Join(", ", parts);
    }
}
