using System.Text.Json.Serialization;

namespace Mesh.ControlPlane.Insight;

/// <summary>A fault that is injected now (docs/api.md).</summary>
/// <param name="Service">Null when a route is its target.</param>
/// <param name="Policy">Namespace and name of the FaultPolicy.</param>
/// <param name="ExpiresAt">Null is never.</param>
/// <param name="Temporary">Made by this API: it can be ended by it.</param>
/// <param name="By">Who asked for it; null when that is not known.</param>
internal sealed record FaultItem(string Id, string Namespace, string? Service, string Policy, string Text, DateTimeOffset? ExpiresAt, bool Temporary, string? By)
{
    /// <summary>When it was asked for; null when that is not known.</summary>
    [JsonIgnore]
    public DateTimeOffset? Since { get; init; }
}
