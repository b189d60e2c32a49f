using System.Collections.Concurrent;

namespace Mesh.Testing.Kubernetes.Admission;

/// <summary>The addresses behind Services, for webhooks: a fake cluster has no network of its own.</summary>
internal sealed class WebhookServices
{
    private readonly ConcurrentDictionary<(string Namespace, string Name, int Port), (string Host, int Port)> _addresses = new();

    public void Map(string ns, string name, int port, string host, int hostPort) => _addresses[(ns, name, port)] = (host, hostPort);

    public (string Host, int Port)? Find(string ns, string name, int port) => _addresses.TryGetValue((ns, name, port), out var address) ? address : null;
}
