using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.CertificateAuthority;

namespace Mesh.ControlPlane.Cluster;

/// <summary>What a replica tells the others of itself, in a ConfigMap of its own: what it has in force, whom it still waits for, and until when what it signed is good.</summary>
/// <param name="Trust">Version of the trust bundle in force there.</param>
/// <param name="Roots">Version of its roots alone.</param>
/// <param name="Root">Id of the root that signs there.</param>
/// <param name="Since">When the phase in force there began.</param>
/// <param name="LeafLifeSeconds">The longest that a certificate signed there from now on lives.</param>
/// <param name="Waiting">How many it waits for.</param>
/// <param name="Waits">A few of them.</param>
/// <param name="Signed">Certificates that are not over, by root and the roots given with them.</param>
/// <param name="Held">Who has shown there that it holds <paramref name="Trust"/>, by <see cref="NameOf"/>; only while a root changes.</param>
/// <param name="Stopped">It said good-bye: it signs nothing any more.</param>
internal sealed record ReplicaSummary(
    string Trust, string Roots, string Root, DateTimeOffset Since, long LeafLifeSeconds, int Waiting, IReadOnlyList<RotationWait> Waits, IReadOnlyList<SignedLeaves> Signed, IReadOnlyList<string> Held, bool Stopped)
{
    /// <summary>Of names in a summary: who is beyond it is waited for longer, never shorter.</summary>
    public const int MostHeld = 20_000;

    public const string DataKey = "summary.json";

    /// <summary>Where the others reach it: host and port of its gRPC port.</summary>
    public const string AddressKey = "grpc";

    /// <summary>Set by the leader when it found the replica gone.</summary>
    public const string GoneKey = "gone";

    public const int MostWaits = 5;

    /// <summary>A short name of a workload: what two workloads share by chance only makes nobody wait shorter than 1 in 2^64 times.</summary>
    public static string NameOf(string identity, string node) => Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes($"{identity}\n{node}")).AsSpan(0, 8)).TrimEnd('=');

    /// <exception cref="JsonException">It is none.</exception>
    public static ReplicaSummary Read(JsonObject configMap) =>
        configMap["data"]?[DataKey] is JsonValue value && value.TryGetValue<string>(out var text) && JsonSerializer.Deserialize<ReplicaSummary>(text, JsonSerializerOptions.Web) is { Trust: not null, Waits: not null, Signed: not null, Held: not null } read
            ? read
            : throw new JsonException("it has no summary");

    public string Write() => JsonSerializer.Serialize(this, JsonSerializerOptions.Web);
}

/// <param name="Until">The end of the one that ends last.</param>
internal sealed record SignedLeaves(string? Root, string? Roots, DateTimeOffset Until, int Count)
{
    public static IReadOnlyList<SignedLeaves> Of(IEnumerable<Issuance> leaves) =>
        [.. leaves.GroupBy(l => (l.Root, l.Roots)).Select(g => new SignedLeaves(g.Key.Root, g.Key.Roots, g.Max(l => l.NotAfter), g.Count())).OrderBy(s => s.Root, StringComparer.Ordinal).ThenBy(s => s.Roots, StringComparer.Ordinal)];

    /// <summary>Why a change of the root has to wait for them in this phase: <c>roots</c> or <c>leaf</c>; null when it has not.</summary>
    public string? NeedIn(TrustState state, TrustSnapshot trust) => state.Phase switch
    {
        RotationPhase.Distributing => Roots != trust.RootsVersion ? "roots" : null,
        RotationPhase.Issuing => Root is null || state.Previous.Any(p => Certificates.Id(p) == Root) ? "leaf" : Roots != trust.RootsVersion ? "roots" : null,
        _ => null,
    };
}
