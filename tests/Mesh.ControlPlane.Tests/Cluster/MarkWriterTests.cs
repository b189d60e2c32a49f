using System.Collections.Immutable;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.Testing.Kubernetes;
using Xunit;

namespace Mesh.ControlPlane.Tests.Cluster;

/// <summary>A mark is never lost by another that is written from what was known before.</summary>
public sealed class MarkWriterTests : IAsyncLifetime
{
    private static readonly Workload Stale = new("shop", "cart-1", "10.0.0.1", null, "cart", ImmutableSortedDictionary<string, string>.Empty) { IsPod = true };
    private FakeKubeApi _api = null!;
    private KubeApi _client = null!;
    private MarkWriter _writer = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _api = await FakeKubeApi.StartAsync();
        _client = KubeApi.At(_api.Address, _api.Token, null, TimeProvider.System);
        _writer = new MarkWriter(_client, "mesh-system", null!);
        Pod("10.0.0.1");
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _api.DisposeAsync();
    }

    [Fact]
    public async Task Port_MarkedMeanwhile_StaysMarked()
    {
        Assert.True(await _writer.WritePodAsync(Stale, [8080], sidecar: false, Token));

        Assert.True(await _writer.WritePodAsync(Stale, [9090], sidecar: false, Token));

        Assert.Equal("library:8080,9090", Mark());
    }

    [Fact]
    public async Task Pod_ChangedUnderUs_IsMarkedOnTopOfTheChange()
    {
        var writing = Task.WhenAll(Enumerable.Range(1, 8).Select(port => _writer.WritePodAsync(Stale, [port], sidecar: false, Token)));

        // Whoever lost the race too often says so, and tries again later, as the loop of marks does.
        try
        {
            await writing;
        }
        catch (KubeApiException e) when (e.IsConflict)
        {
            await Task.WhenAll(Enumerable.Range(1, 8).Select(async port =>
            {
                while (true)
                {
                    try
                    {
                        return await _writer.WritePodAsync(Stale, [port], sidecar: false, Token);
                    }
                    catch (KubeApiException again) when (again.IsConflict)
                    {
                        // Once more.
                    }
                }
            }));
        }

        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], Mark()!["library:".Length..].Split(',').Select(int.Parse).Order());
    }

    [Fact]
    public async Task Pod_OfTheSameNameAtAnotherAddress_IsNotMarked()
    {
        _api.Delete("pods", "shop", "cart-1");
        Pod("10.0.0.2");

        Assert.False(await _writer.WritePodAsync(Stale, [8080], sidecar: true, Token));

        Assert.Null(Mark());
    }

    private void Pod(string address) => _api.Apply($$"""
        apiVersion: v1
        kind: Pod
        metadata: { name: cart-1, namespace: shop }
        spec: { serviceAccountName: cart, containers: [{ name: app, image: cart }] }
        status: { podIP: {{address}}, podIPs: [{ ip: {{address}} }] }
        """);

    private string? Mark() => _api.Get("pods", "shop", "cart-1")["metadata"]!["annotations"]?["meshlib.io/meshed"]?.GetValue<string>();
}
