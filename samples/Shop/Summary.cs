using System.Text.Json;
using System.Text.Json.Serialization;

namespace Shop;

internal sealed record EdgeCount(long Requests, long Failures);

/// <param name="RestoreS">Seconds of <c>dotnet restore</c>.</param>
/// <param name="BuildS">Seconds of <c>dotnet build</c>.</param>
/// <param name="FirstMeshRequestS">Seconds from the start of the first process, after the build, to the first page a customer got.</param>
internal sealed record Timing(double RestoreS, double BuildS, double FirstMeshRequestS);

internal sealed record StepSummary(string Step, long FailuresAtEdge, string Detail, IReadOnlyList<EndpointCount> Endpoints);

/// <summary>What a run without a screen writes down.</summary>
internal sealed record Summary(
    IReadOnlyList<Pair> Pairs, IReadOnlyList<EndpointCount> Endpoints, EdgeCount Edge, MeshStatus ControlPlane, Timing Timing)
{
    private static readonly JsonSerializerOptions _json = new(MeshApi.Json) { WriteIndented = true };

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<StepSummary>? Story { get; init; }

    public string ToJson() => JsonSerializer.Serialize(this, _json);
}
