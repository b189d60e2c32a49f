using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.Concurrency;
using Mesh.ControlPlane.CertificateAuthority;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Another replica, as far as its ConfigMap tells. Immutable but for what was seen of its pod.</summary>
internal sealed class OtherReplica
{
    private readonly string? _problem;
    private readonly FrozenSet<string> _held = [];

    public OtherReplica(string pod, JsonObject configMap, Appointment freshUntil)
    {
        (Pod, Version, FreshUntil) = (pod, WatchedObjects.VersionOf(configMap), freshUntil);
        if (configMap["data"]?[ReplicaSummary.GoneKey] is JsonValue value && value.TryGetValue<string>(out var text)
            && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at))
        {
            GoneAt = at;
        }

        Address = configMap["data"]?[ReplicaSummary.AddressKey] is JsonValue where && where.TryGetValue<string>(out var hostPort) && hostPort.Length > 0 ? hostPort : null;
        try
        {
            Summary = ReplicaSummary.Read(configMap);
            _held = Summary.Held.ToFrozenSet(StringComparer.Ordinal);
        }
        catch (JsonException e)
        {
            _problem = e.Message;
        }
    }

    public string Pod { get; }

    public string Version { get; }

    /// <summary>Host and port of its gRPC port; null while it has not said it.</summary>
    public string? Address { get; }

    /// <summary>It writes every few seconds.</summary>
    public Appointment FreshUntil { get; }

    /// <summary>When the leader found neither a word of it nor its pod.</summary>
    public DateTimeOffset? GoneAt { get; }

    public ReplicaSummary? Summary { get; }

    public bool IsOver => Summary?.Stopped == true || GoneAt is not null;

    public bool Holds(string name, string version) => Summary?.Trust == version && _held.Contains(name);

    /// <summary>Until when what it may have signed is good: one life after it was gone, as nobody knows what it signed last; at its own word when it said good-bye.</summary>
    public DateTimeOffset SignedUntil => Summary is null ? DateTimeOffset.MaxValue
        : Summary.Signed.Select(s => s.Until).Append(Summary.Stopped || GoneAt is not { } gone ? DateTimeOffset.MinValue : gone + TimeSpan.FromSeconds(Summary.LeafLifeSeconds)).Max();

    public IEnumerable<RotationWait> Waits(TrustState state, TrustSnapshot trust, TimeProvider time)
    {
        var now = time.GetUtcNow();
        if (Summary is null)
        {
            return [Wait($"replica ({_problem})", null)];
        }

        if (IsOver)
        {
            var unknown = Summary.Stopped || GoneAt is not { } gone ? [] : new[] { new SignedLeaves(Summary.Root, Summary.Roots, gone + TimeSpan.FromSeconds(Summary.LeafLifeSeconds), 0) };
            return Summary.Signed.Concat(unknown).Where(s => s.Until > now && s.NeedIn(state, trust) is not null).GroupBy(s => s.NeedIn(state, trust)!).Select(g => Wait(g.Key, g.Max(s => s.Until)));
        }

        if (FreshUntil.Left(time) <= TimeSpan.Zero || Summary.Trust != trust.Version || Summary.Since != state.Since)
        {
            return [Wait("replica", null)];
        }

        return Summary.Waiting == 0 ? []
            : Summary.Waiting > Summary.Waits.Count ? Summary.Waits.Append(new RotationWait("others", $"{Summary.Waiting - Summary.Waits.Count} more of {Pod}", true, "roots", null))
            : Summary.Waits;
    }

    private RotationWait Wait(string what, DateTimeOffset? until) => new(ClusterNames.Service, Pod, !IsOver, what, until);
}
