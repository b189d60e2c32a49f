using System.Net;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;

using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Server.Tests;

public sealed class GateTests : IDisposable
{
    private readonly TestCa _ca = new("cluster.local");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Fact]
    public async Task Request_BeforeTheIdentity_WaitsForIt()
    {
        var identity = new LateIdentity();
        await using var app = await MeshApp.StartAsync(_ca, services: s => s.AddSingleton<IWorkloadIdentitySource>(identity));
        using var client = new HttpClient();
        var url = $"http://127.0.0.1:{app.Port}/";

        var waiting = client.GetStringAsync(url, Token);
        Assert.Equal("alive", await client.GetStringAsync(url + "healthz", Token));
        Assert.False(waiting.IsCompleted);
        identity.Set(_ca.Identity("shop", "cart"));

        Assert.Contains("nobody", await waiting, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_IdentityNeverComes_Is503WithTheReason()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var app = await MeshApp.StartAsync(_ca, services: s =>
        {
            s.AddSingleton<IWorkloadIdentitySource>(new LateIdentity());
            s.AddSingleton<TimeProvider>(time);
        });
        using var client = new HttpClient();

        var waiting = client.GetAsync($"http://127.0.0.1:{app.Port}/", Token);
        await Eventually.Async(
            () =>
            {
                time.Advance(TimeSpan.FromSeconds(1));
                return waiting.IsCompleted;
            },
            "the request gave up");

        using var response = await waiting;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal("mesh: this workload has no certificate yet\n", await response.Content.ReadAsStringAsync(Token));
    }

    [Fact]
    public async Task MeshConnection_BeforeTheIdentity_WaitsForIt()
    {
        var identity = new LateIdentity();
        await using var app = await MeshApp.StartAsync(_ca, services: s => s.AddSingleton<IWorkloadIdentitySource>(identity));
        var cart = _ca.Identity("shop", "cart");
        using var client = MeshApp.MeshClient(_ca.Identity("shop", "web"), cart.Svid.Id, HttpVersion.Version20);

        var waiting = client.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token);
        await Eventually.Async(() => identity.Waiting > 0, "the handshake waits");
        identity.Set(cart);

        Assert.Contains("sa/web", await waiting, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Request_NoPolicyYet_WaitsForIt()
    {
        var silent = new SilentSource();
        await using var app = await MeshApp.StartAsync(_ca, services: s => s.AddSingleton<IConfigSource>(silent));
        using var client = new HttpClient();

        var waiting = client.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token);
        Assert.Equal("alive", await client.GetStringAsync($"http://127.0.0.1:{app.Port}/healthz", Token));
        Assert.False(waiting.IsCompleted);
        silent.Snapshots.Publish(MeshApp.Inbound($"127.0.0.1:{app.Port}"));

        Assert.Contains("nobody", await waiting, StringComparison.Ordinal);
        Assert.Equal([$"meshlib/inbound?address=127.0.0.1:{app.Port}"], silent.Watched);
    }

    private sealed class SilentSource : IConfigSource
    {
        public List<string> Watched { get; } = [];

        public SnapshotStore Snapshots { get; } = new();

        public void Watch(string listenerName) => Watched.Add(listenerName);

        public void Unwatch(string listenerName)
        {
        }
    }

    private sealed class LateIdentity : IWorkloadIdentitySource
    {
        private readonly TaskCompletionSource<WorkloadIdentity> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _waiting;

        public int Waiting => Volatile.Read(ref _waiting);

        public WorkloadIdentity? Current => _first.Task.IsCompletedSuccessfully ? _first.Task.Result : null;

        public ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _waiting);
            return new(_first.Task.WaitAsync(cancellationToken));
        }

        public void Set(WorkloadIdentity identity) => _first.SetResult(identity);
    }
}
