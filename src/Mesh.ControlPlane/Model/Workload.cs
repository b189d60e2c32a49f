using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model;

/// <summary>Something that listens: a Pod, or an endpoint that no Pod stands for.</summary>
/// <param name="Name">Of the Pod, else of the Service.</param>
/// <param name="Address">An IP literal.</param>
/// <param name="Port">Null: every port of the address (a Pod's own).</param>
/// <param name="Labels">The Pod's; of an endpoint without a Pod those of its Service.</param>
internal sealed record Workload(
    string Namespace, string Name, string Address, int? Port, string? ServiceAccount, ImmutableSortedDictionary<string, string> Labels)
{
    /// <summary>Ports that its containers name; it may listen on others.</summary>
    public ImmutableArray<int> DeclaredPorts { get; init; } = [];

    public ImmutableArray<Probe> Probes { get; init; } = [];

    /// <summary>A Pod of that name stands for it.</summary>
    public bool IsPod { get; init; }

    /// <summary>What stands on the Pod of its being in the mesh (<see cref="MarkText"/>); null: nothing.</summary>
    public string? Mark { get; init; }

    /// <summary>Nobody may watch its requests live (<c>meshlib.io/disable-tap</c>).</summary>
    public bool TapDisabled { get; init; }

    public Place Place { get; init; } = Place.Unknown;

    /// <summary>The order in which a model has them.</summary>
    public static int Order(Workload a, Workload b) =>
        string.CompareOrdinal(a.Namespace, b.Namespace) is not 0 and var byNamespace ? byNamespace
        : string.CompareOrdinal(a.Address, b.Address) is not 0 and var byAddress ? byAddress
        : Nullable.Compare(a.Port, b.Port) is not 0 and var byPort ? byPort
        : string.CompareOrdinal(a.Name, b.Name);
}

/// <summary>A question that the Pod's node asks without an identity: it is answered whatever policies say.</summary>
/// <param name="Path">Without a query.</param>
/// <param name="Grpc">gRPC health checking, a POST; else a GET.</param>
internal sealed record Probe(int Port, string Path, bool Grpc);
