using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Api;

/// <summary>What this control plane is.</summary>
internal static class InfoApi
{
    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/v1/info", async (
        HttpContext context, MeshControlPlaneOptions options, Uptime uptime, ReplicaView replicas, ApiGate gate, ApiTokens tokens, GoldenStore store) => new ControlPlaneInfo(
        BuildVersion.Text, options.TrustDomain, uptime.StartedAt, Math.Round(uptime.Elapsed.TotalSeconds, 3), replicas.Own, replicas.All,
        options.Kubernetes ? "kubernetes" : "folder", StoreEntry.Of(store.Fill, options), tokens.View is null ? "kubernetes" : "files", await gate.RightsAsync(context)));
}

/// <param name="Source"><c>folder</c> or <c>kubernetes</c>.</param>
/// <param name="Tokens"><c>files</c> or <c>kubernetes</c>.</param>
/// <param name="Rights">Of whoever asks.</param>
internal sealed record ControlPlaneInfo(
    string Version, string TrustDomain, DateTimeOffset StartedAt, double UptimeS, string Replica, IReadOnlyList<ReplicaEntry> Replicas, string Source, StoreEntry Store, string Tokens, IReadOnlyList<ApiRight> Rights);

/// <summary>What keeps the numbers, and how full it is.</summary>
/// <param name="Kind"><c>disk</c>, <c>memory</c> or <c>prometheus</c>; the rest is of the embedded store in any case.</param>
/// <param name="OverflowedSeries">What found no place.</param>
internal sealed record StoreEntry(string Kind, long Bytes, long MaxBytes, int Series, int MaxSeries, int OverflowedSeries, DateTimeOffset Oldest)
{
    public static StoreEntry Of(GoldenFill fill, MeshControlPlaneOptions options) => new(
        options.Prometheus is null ? fill.Kind : "prometheus", fill.Bytes, fill.MaxBytes, fill.Series, fill.MaxSeries, fill.OverflowedSeries, fill.Oldest);
}
