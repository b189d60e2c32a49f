using System.Collections.Frozen;

namespace Mesh.Tap;

/// <summary>What one tap wants of this process. Immutable; one that exists is valid.</summary>
/// <param name="Client">Of calls out; null wants none.</param>
/// <param name="Server">Of requests served; null wants none.</param>
/// <param name="Path">May end in <c>*</c>; empty is any.</param>
/// <param name="MaxPerSecond">More than 0.</param>
internal sealed record TapSettings(
    string Id, TapSide? Client, TapSide? Server, string Method, string Path, TapStatus Status, TimeSpan MinLatency, double MaxPerSecond, FrozenSet<string> Headers)
{
    /// <summary>Exchanges that go on for long are shown while they do, too.</summary>
    public bool Opens { get; init; }

    public bool Takes(in TapFacts facts) => TakesRequest(facts) && facts.Latency >= MinLatency && Status.Takes(facts);

    /// <summary>As far as can be said before there is an answer.</summary>
    public bool TakesRequest(in TapFacts facts) =>
        (facts.Server ? Server : Client) is { } side && side.Takes(facts)
        && (Method.Length == 0 || Method.Equals(facts.Method, StringComparison.OrdinalIgnoreCase))
        && TakesPath(facts.Path);

    private bool TakesPath(string path) => Path.Length == 0
        || (Path[^1] == '*' ? path.AsSpan().StartsWith(Path.AsSpan(0, Path.Length - 1), StringComparison.Ordinal) : path == Path);
}

/// <summary>Which of the others a tap is about.</summary>
/// <param name="Name">Empty is any.</param>
/// <param name="Namespace">Empty is any.</param>
/// <param name="Except">Callers who report themselves, as namespace/service-account.</param>
internal sealed record TapSide(string Name, string Namespace, FrozenSet<string> Except)
{
    public bool Takes(in TapFacts facts) =>
        (Name.Length == 0 || Name == facts.PeerName)
        && (Namespace.Length == 0 || Namespace == facts.PeerNamespace)
        && (Except.Count == 0 || !Except.Contains($"{facts.PeerNamespace}/{facts.PeerName}"));
}
