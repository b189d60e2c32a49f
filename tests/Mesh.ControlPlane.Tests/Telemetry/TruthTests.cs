using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.Hosting;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

/// <summary>What the store says is what the generator and the called side counted: calls that fail, are tried again, stream, and are given up.</summary>
public sealed class TruthTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-truth-").FullName;
    private readonly FakeLogCollector _logs = FakeLogCollector.Create(new FakeLogCollectorOptions());
    private readonly Lock _lock = new();
    private readonly HashSet<string> _seen = [];
    private readonly TaskCompletionSource _hangs = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _attempts;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task DrainedCalls_AreCountedExactly_OnBothSides()
    {
        var (frontPort, backPort) = (FreePort.Next(), FreePort.Next());
        File.WriteAllText(Path.Combine(Folder("config"), "shop.yaml"), Yaml(backPort));
        await using var front = App(frontPort, builder =>
        {
            builder.Services.AddMeshControlPlane(Configure).AddMesh();
            builder.WebHost.UseMesh();
            builder.Services.Configure<MeshOptions>(o => (o.Namespace, o.ServiceAccount, o.TelemetryInterval) = ("shop", "front", TimeSpan.FromSeconds(1)));
        });
        await front.StartAsync(Token);
        var controlPlane = front.Services.GetRequiredService<MeshControlPlane>();
        var addresses = await controlPlane.Ready;
        await using var back = App(backPort, builder =>
        {
            builder.WebHost.UseMesh();
            builder.Services.AddMesh();
            builder.Services.Configure<MeshOptions>(o =>
            {
                (o.Namespace, o.ServiceAccount, o.TelemetryInterval) = ("shop", "back", TimeSpan.FromSeconds(1));
                (o.ControlPlane, o.TrustBundle, o.Token) = (addresses.Grpc, addresses.TrustBundle, controlPlane.CreateJoinToken("shop", "back"));
            });
        });
        await back.StartAsync(Token);
        var inner = await controlPlane.Inner;
        await Eventually.Async(() => inner.GetRequiredService<ModelStore>().Current.Services.Values.All(s => s.Endpoints.All(e => e.Meshed)), "the endpoint to be meshed", TimeSpan.FromSeconds(60));

        using var client = front.Services.GetRequiredService<IHttpClientFactory>().CreateClient();
        var (calls, failed) = (0, 0);
        var took = new List<double>();
        foreach (var path in Enumerable.Range(0, 120).Select(i => $"/{(i % 6) switch { 0 => "flaky", 1 => "fail", 2 => "stream", _ => i % 20 == 3 ? "slow" : "ok" }}/{i}"))
        {
            calls++;
            var start = TimeProvider.System.GetTimestamp();
            using var response = await client.GetAsync($"http://back{path}", HttpCompletionOption.ResponseHeadersRead, Token);
            var body = await response.Content.ReadAsStringAsync(Token);
            Assert.Equal(path.StartsWith("/stream", StringComparison.Ordinal) ? 5 : 1, body.Length);
            took.Add(TimeProvider.System.GetElapsedTime(start).TotalMilliseconds);
            failed += (int)response.StatusCode >= 500 ? 1 : 0;
        }

        using (var patience = CancellationTokenSource.CreateLinkedTokenSource(Token))
        {
            calls++;
            var hanging = client.GetAsync("http://back/hang/0", patience.Token);
            await _hangs.Task.WaitAsync(TimeSpan.FromSeconds(60), Token);
            await patience.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hanging);
        }

        var golden = inner.GetRequiredService<IGoldenQueries>();
        GoldenNumbers? numbers = null;
        await Eventually.Async(async () => (numbers = await ReadAsync(golden, GoldenView.Client))?.Requests == calls && numbers.Attempts == _attempts, "all calls and attempts to be told", TimeSpan.FromSeconds(60));

        Assert.Equal((calls, failed, 1L), (numbers!.Requests, numbers.Failures, numbers.Cancelled));
        Assert.Equal(_attempts - calls, numbers.Retries);
        Assert.InRange(numbers.Retries, 1, 40);
        Assert.Equal(1, numbers.MtlsShare);
        Assert.Equal((double)(calls - 1 - failed) / (calls - 1), numbers.EffectiveSuccessRate, 9);

        // A bucket is 4.4 % wide (scale 4). Slow calls make it: what the generator adds around a call is nothing beside them.
        var p99 = took.Order().ElementAt((int)Math.Ceiling(took.Count * 0.99) - 1);
        Assert.InRange(Math.Log2(numbers.P99Ms / p99) * 16, -1, 1);

        // The called side saw every attempt, and ends well: nothing is missing.
        await back.StopAsync(Token);
        await Eventually.Async(async () => (await ReadAsync(golden, GoldenView.Server))?.Requests == _attempts, "the called side to have told all", TimeSpan.FromSeconds(60));
        var series = await golden.ReadSeriesAsync(Query(GoldenView.Client), Slots.Fine, Token);
        Assert.Equal(calls, Assert.Single(series.Items).Requests.Sum());
        Assert.Empty(series.Gaps);
        await front.StopAsync(Token);
    }

    private static GoldenQuery Query(GoldenView view)
    {
        var now = TimeProvider.System.GetUtcNow();
        return new GoldenQuery(GoldenBy.Pair, now - TimeSpan.FromMinutes(15), now) { Source = "front", View = view };
    }

    private static async Task<GoldenNumbers?> ReadAsync(IGoldenQueries golden, GoldenView view) => (await golden.ReadAsync(Query(view), Token)).Items.SingleOrDefault()?.Numbers;

    private WebApplication App(int port, Action<WebApplicationBuilder> configure)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(new FakeLoggerProvider(_logs));
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        configure(builder);
        var app = builder.Build();
        app.Run(ServeAsync);
        return app;
    }

    private async Task ServeAsync(HttpContext context)
    {
        Interlocked.Increment(ref _attempts);
        var path = context.Request.Path.Value!;
        switch (path.Split('/')[1])
        {
            case "flaky":
                lock (_lock)
                {
                    context.Response.StatusCode = _seen.Add(path) ? 503 : 200;
                }

                break;
            case "fail":
                context.Response.StatusCode = 500;
                break;
            case "slow":
                await Task.Delay(TimeSpan.FromMilliseconds(400), context.RequestAborted);
                break;
            case "stream":
                for (var i = 0; i < 4; i++)
                {
                    await context.Response.WriteAsync("s");
                    await context.Response.Body.FlushAsync(context.RequestAborted);
                }

                break;
            case "hang":
                var gone = new TaskCompletionSource();
                await using (context.RequestAborted.Register(gone.SetResult))
                {
                    _hangs.TrySetResult();
                    await gone.Task;
                }

                return;
        }

        await context.Response.WriteAsync("x");
    }

    private void Configure(MeshControlPlaneOptions o)
    {
        (o.ConfigFolder, o.DataFolder) = (Folder("config"), Folder("data"));
        (o.AdsPort, o.GrpcPort, o.HttpPort) = (0, 0, 0);
    }

    private string Folder(string name) => Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;

    private static string Yaml(int port) => $$"""
        apiVersion: v1
        kind: Service
        metadata: { name: back, namespace: shop }
        spec: { ports: [{ name: web, port: 80 }] }
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: { name: back-1, namespace: shop, labels: { kubernetes.io/service-name: back }, annotations: { meshlib.io/service-account: back } }
        addressType: IPv4
        ports: [{ name: web, port: {{port}} }]
        endpoints: [{ addresses: [127.0.0.1] }]
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: RetryPolicy
        metadata: { name: back, namespace: shop }
        spec:
          targetRefs: [{ group: "", kind: Service, name: back }]
          attempts: 3
          retryOn: [gateway-error]
        """;
}
