using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Cluster;

/// <summary>What the mesh in the cluster was installed with: ConfigMap <c>mesh-config</c>.</summary>
/// <param name="Version">Of the control plane.</param>
/// <param name="Values">What was given, without the version.</param>
internal sealed record StoredValues(string Version, string Values)
{
    /// <returns>Null when there is no mesh.</returns>
    public static async Task<StoredValues?> FindAsync(KubeApi cluster, CancellationToken cancellationToken)
    {
        var map = await cluster.GetAsync($"/api/v1/namespaces/{InstallManifest.Namespace}/configmaps/{InstallManifest.ConfigMap}", cancellationToken);
        if (map.Text("data", InstallManifest.ValuesKey) is not { } text)
        {
            return null;
        }

        try
        {
            var values = YamlJson.Parse(text) is [var first, ..] ? first : [];
            var version = values.Text("version") ?? string.Empty;
            values.Remove("version");
            return new StoredValues(version, values.Count == 0 ? string.Empty : YamlJson.Write(values));
        }
        catch (YamlDotNet.Core.YamlException e)
        {
            throw new CliException(ExitCodes.Failure, $"the values of {InstallManifest.ConfigMap} in the cluster are no YAML", e.Message, "give all values with --reset-values and -f", e);
        }
    }

    public static async Task<StoredValues> GetAsync(KubeApi cluster, CancellationToken cancellationToken) =>
        await FindAsync(cluster, cancellationToken) ?? throw new CliException(
            ExitCodes.Failure, "there is no mesh in this cluster", $"{InstallManifest.Namespace} has no ConfigMap {InstallManifest.ConfigMap}", "mesh install | kubectl apply -f -");
}
