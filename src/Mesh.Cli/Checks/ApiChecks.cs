using System.Globalization;
using Mesh.Cli.Cluster;

namespace Mesh.Cli.Checks;

/// <summary>Whether the cluster can be asked at all.</summary>
internal static class ApiChecks
{
    private const string Category = "kubernetes-api";
    private static readonly Version Oldest = new(1, 29);
    private static readonly TimeSpan MostSkew = TimeSpan.FromSeconds(10);

    public static IEnumerable<ClusterCheck> All { get; } =
    [
        new("MESH-CHK-001", Category, "the API server can be reached", async (facts, cancellationToken) =>
        {
            await facts.ServerAsync(cancellationToken);
            return null;
        }) { Stops = true },
        new("MESH-CHK-002", Category, "Kubernetes is 1.29 or newer", async (facts, cancellationToken) =>
        {
            var text = (await facts.ServerAsync(cancellationToken)).Version.Text("gitVersion") ?? string.Empty;
            return !Version.TryParse(text.TrimStart('v').Split('-', '+')[0], out var version) ? Finding.Warning($"its version '{text}' can't be read", "see that it is 1.29 or newer")
                : version < Oldest ? Finding.Error($"it is {text}: sidecars that are init containers, and rules in definitions, need 1.29", "upgrade the cluster")
                : null;
        }),
        new("MESH-CHK-003", Category, "this machine's clock goes as the cluster's", async (facts, cancellationToken) =>
        {
            var ahead = (await facts.ServerAsync(cancellationToken)).Ahead;
            return ahead.Duration() <= MostSkew ? null : Finding.Warning(
                string.Create(CultureInfo.InvariantCulture, $"the API server's is {Math.Abs(ahead.TotalSeconds):0} s {(ahead > TimeSpan.Zero ? "ahead" : "behind")}: certificates may seem not yet, or no longer, valid"),
                "synchronise both with a time server");
        }),
    ];
}
