using System.Text.Json.Nodes;
using Mesh.ControlPlane.Model;

namespace Mesh.Cli;

/// <summary>An endpoint as <c>/workloads</c> lists it.</summary>
internal sealed record MeshedEndpoint(string Service, string Namespace, string Address, string? Identity, bool Meshed, IReadOnlyDictionary<string, string>? Labels)
{
    private const string Path = "api/v1/workloads";

    /// <summary>The service account of its identity, by which a workload is known that calls; null without one.</summary>
    public string? Account => Identity is { } id ? id[(id.LastIndexOf('/') + 1)..] : null;

    public static async Task<IReadOnlyList<MeshedEndpoint>> LoadAsync(ControlPlaneApi api, CancellationToken cancellationToken) =>
        [.. (await api.GetArrayAsync(Path, cancellationToken)).OfType<JsonNode>().Select(node => api.Read<MeshedEndpoint>(node, Path))];

    public bool Has(LabelSelector labels) => labels.Matches(Labels ?? new Dictionary<string, string>());
}

/// <summary>Who is meshed, and who has which labels.</summary>
internal sealed class MeshedEndpoints(IReadOnlyList<MeshedEndpoint> all)
{
    /// <summary>Such as <c>2/3</c>; <c>-</c> where nothing listens.</summary>
    public string Share(bool isService, string? name, string? @namespace)
    {
        var own = Of(isService, name, @namespace).ToList();
        return own.Count == 0 ? "-" : $"{own.Count(e => e.Meshed)}/{own.Count}";
    }

    public bool Match(bool isService, string? name, string? @namespace, LabelSelector? labels) => labels is null || Of(isService, name, @namespace).Any(e => e.Has(labels));

    private IEnumerable<MeshedEndpoint> Of(bool isService, string? name, string? @namespace) =>
        all.Where(e => e.Namespace == @namespace && (isService ? e.Service : e.Account) == name).DistinctBy(e => e.Address);
}
