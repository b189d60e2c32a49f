using System.Text.Json.Nodes;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Checks;

/// <summary>What checks ask of a cluster: each thing once.</summary>
internal sealed class ClusterFacts(KubeApi cluster, TimeProvider time)
{
    public const string System = "/api/v1/namespaces/" + InstallManifest.Namespace;
    private readonly Dictionary<string, Task<KubeList>> _lists = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Task<JsonObject?>> _objects = new(StringComparer.Ordinal);
    private Task<ServerAnswer>? _server;

    public KubeApi Cluster => cluster;

    /// <summary>Null: it does not exist.</summary>
    public Task<JsonObject?> GetAsync(string path, CancellationToken cancellationToken)
    {
        if (!_objects.TryGetValue(path, out var asked))
        {
            _objects[path] = asked = cluster.GetAsync(path, cancellationToken);
        }

        return asked;
    }

    public async Task<IReadOnlyList<JsonObject>> ListAsync(string path, CancellationToken cancellationToken)
    {
        if (!_lists.TryGetValue(path, out var asked))
        {
            _lists[path] = asked = cluster.ListAsync(path, cancellationToken);
        }

        return (await asked).Items;
    }

    public Task<JsonObject?> DeploymentAsync(CancellationToken cancellationToken) =>
        GetAsync($"/apis/apps/v1/namespaces/{InstallManifest.Namespace}/deployments/{InstallManifest.Name}", cancellationToken);

    /// <summary>What the mesh was installed with; what can't be read is as if nothing had been given.</summary>
    public async Task<InstallValues> ValuesAsync(CancellationToken cancellationToken)
    {
        var values = new InstallValues();
        if (await StoredValues.FindAsync(cluster, cancellationToken) is { } stored && values.Read(stored.Values).Count == 0 && stored.Version.Length > 0)
        {
            values.Set("version", stored.Version);
        }

        return values;
    }

    /// <summary>The API server's version, and how far its clock is from ours.</summary>
    public Task<ServerAnswer> ServerAsync(CancellationToken cancellationToken) => _server ??= AskServerAsync(cancellationToken);

    /// <summary>By the API server's clock, which wrote what is looked at.</summary>
    public async Task<DateTimeOffset> NowAsync(CancellationToken cancellationToken) => time.GetUtcNow() + (await ServerAsync(cancellationToken)).Ahead;

    private async Task<ServerAnswer> AskServerAsync(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(cluster.Server, "/version"));
        using var response = await cluster.ForwardAsync(request, cancellationToken);
        var body = await response.Content.ReadAsStringAsync(cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            throw KubeApiException.Of(response.StatusCode, body, null);
        }

        return new ServerAnswer(JsonNode.Parse(body), response.Headers.Date is { } date ? date - time.GetUtcNow() : TimeSpan.Zero);
    }
}

/// <param name="Ahead">Of our clock; to the second.</param>
internal sealed record ServerAnswer(JsonNode? Version, TimeSpan Ahead);
