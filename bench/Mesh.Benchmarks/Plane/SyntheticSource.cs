using System.Collections.Concurrent;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.Spiffe;

namespace Mesh.Benchmarks.Plane;

/// <summary>What came in as lines: <c>namespace service address,address,…</c>, and <c>go</c> when all are told.</summary>
internal sealed class SyntheticFeed
{
    public ConcurrentQueue<string> Waiting { get; } = new();

    public SemaphoreSlim News { get; } = new(0);

    public TaskCompletionSource Complete { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Take(string line)
    {
        if (line == "go")
        {
            Complete.TrySetResult();
            return;
        }

        Waiting.Enqueue(line);
        News.Release();
    }
}

/// <summary>Reads the manifest of each changed Service and assembles the model from all of them, as the sources of the product do; no files and no API server between.</summary>
internal sealed class SyntheticSource(ModelSourceContext context, SyntheticFeed feed) : IModelSource
{
    /// <summary>Changes that come together are assembled together; the first of them waits no longer than this.</summary>
    private static readonly TimeSpan _window = TimeSpan.FromMilliseconds(100);

    private readonly SortedDictionary<string, ManifestFile> _files = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private Task _loop = Task.CompletedTask;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await feed.Complete.Task.WaitAsync(cancellationToken);
        Publish();
        _loop = Task.Run(FollowAsync, CancellationToken.None);
    }

    public void Refresh() => feed.News.Release();

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _loop;
        _stopping.Dispose();
    }

    public static string Manifest(string ns, string service, string[] addresses) => $$"""
        apiVersion: v1
        kind: Service
        metadata:
          name: {{service}}
          namespace: {{ns}}
          annotations: { meshlib.io/service-account: {{service}} }
        spec:
          ports: [{ name: http, port: 80, targetPort: 8080 }]
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: {{service}}-1
          namespace: {{ns}}
          labels: { kubernetes.io/service-name: {{service}} }
        addressType: IPv4
        ports: [{ name: http, port: 8080, protocol: TCP }]
        endpoints:
        {{string.Join('\n', addresses.Select(Endpoint))}}
        """;

    private static string Endpoint(string address) => $"- {{ addresses: [{address}], conditions: {{ ready: true }}, zone: zone-{address[^1] % 3} }}";

    private async Task FollowAsync()
    {
        try
        {
            while (true)
            {
                await feed.News.WaitAsync(_stopping.Token);
                await Task.Delay(_window, _stopping.Token);
                while (feed.News.Wait(0, CancellationToken.None))
                {
                }

                Publish();
            }
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    private void Publish()
    {
        while (feed.Waiting.TryDequeue(out var line))
        {
            var parts = line.Split(' ');
            var path = $"{parts[0]}/{parts[1]}.yaml";
            _files[path] = ManifestFile.Read(path, Manifest(parts[0], parts[1], parts[2].Split(',', StringSplitOptions.RemoveEmptyEntries)), _files.GetValueOrDefault(path));
        }

        var model = ModelAssembler.Assemble(_files.Values, TrustDomain.Parse(context.Options.TrustDomain), context.Marks, _ => [], context.Time.GetUtcNow());
        if (!model.Problems.IsEmpty)
        {
            throw new InvalidOperationException($"The bench's manifests are wrong: {model.Problems[0]}");
        }

        context.Store.Publish(model);
    }
}
