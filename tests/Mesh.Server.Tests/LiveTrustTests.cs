using System.Collections.Frozen;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>A server whose trust or certificate changes while callers are connected.</summary>
public sealed class LiveTrustTests : IDisposable
{
    private static readonly SpiffeId Cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private readonly TestCa _ca = new("cluster.local", withIssuer: true);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Theory]
    [InlineData("2.0")]
    [InlineData("1.1")]
    public async Task Revoked_CallersRunningRequestEndsAtOnceAndOthersGoOn(string version)
    {
        await using var app = await StartAsync();
        using var decisions = new MetricCollector<long>(app.Services.GetRequiredService<IMeterFactory>(), "Mesh", MeshTags.ServerDecisions);
        using var web = MeshApp.MeshClient(_ca.Identity("shop", "web"), Cart, Version.Parse(version));
        using var pay = MeshApp.MeshClient(_ca.Identity("shop", "pay"), Cart, Version.Parse(version));
        using var webStream = await OpenAsync(web, app);
        using var payStream = await OpenAsync(pay, app);

        app.Identity.Replace(app.Identity.Current.With(_ca.Bundle with { RevokedIds = FrozenSet.Create(SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/web")) }));

        await Assert.ThrowsAnyAsync<Exception>(() => ReadAsync(webStream));
        await Assert.ThrowsAsync<HttpRequestException>(() => web.GetStringAsync(new Uri($"http://127.0.0.1:{app.Port}/"), Token));
        Assert.Contains("sa/pay", await pay.GetStringAsync(new Uri($"http://127.0.0.1:{app.Port}/"), Token), StringComparison.Ordinal);
        app.Services.GetRequiredService<Release>().Now();
        Assert.Equal("startend", await ReadAsync(payStream));
        Assert.Contains(decisions.GetMeasurementSnapshot(), m => Is(m, Decisions.ConnectionEnded, PeerRefusals.RevokedId));
        Assert.Contains(decisions.GetMeasurementSnapshot(), m => Is(m, Decisions.PeerRefused, PeerRefusals.RevokedId));
    }

    [Fact]
    public async Task RootDropped_CallersOfThatRootAreCutOff()
    {
        using var next = new TestCa("cluster.local");
        await using var app = await StartAsync();
        app.Identity.Replace(app.Identity.Current.With(_ca.Bundle with { Roots = [_ca.Root, next.Root] }));
        using var old = MeshApp.MeshClient(_ca.Identity("shop", "web"), Cart, HttpVersion.Version20);
        using var young = MeshApp.MeshClient(next.Identity("shop", "web").With(_ca.Bundle with { Roots = [_ca.Root, next.Root] }), Cart, HttpVersion.Version20);
        using var oldStream = await OpenAsync(old, app);
        using var youngStream = await OpenAsync(young, app);

        app.Identity.Replace(new WorkloadIdentity(next.Identity("shop", "cart").Svid, next.Bundle, 3, 1));

        await Assert.ThrowsAnyAsync<Exception>(() => ReadAsync(oldStream));
        app.Services.GetRequiredService<Release>().Now();
        Assert.Equal("startend", await ReadAsync(youngStream));
    }

    [Fact]
    public async Task LeafReplaced_RunningRequestEndsWellAndTheConnectionIsLeftByItself()
    {
        await using var app = await StartAsync(TimeSpan.FromSeconds(20));
        var connections = 0;
        using var client = MeshApp.MeshClient(_ca.Identity("shop", "web"), Cart, HttpVersion.Version20, wrap: socket =>
        {
            Interlocked.Increment(ref connections);
            return new NetworkStream(socket, ownsSocket: true);
        });
        using var stream = await OpenAsync(client, app);

        app.Identity.Replace(_ca.Identity("shop", "cart", generation: 2));
        // No call fails, and within half of what the old certificate has left they go over a new connection.
        await Eventually.Async(
            async () =>
            {
                await client.GetStringAsync(new Uri($"http://127.0.0.1:{app.Port}/"), Token);
                return connections == 2;
            },
            "calls go over a new connection",
            TimeSpan.FromSeconds(18));
        app.Services.GetRequiredService<Release>().Now();

        Assert.Equal("startend", await ReadAsync(stream));
    }

    [Fact]
    public async Task LeafReplaced_WhatStillRunsIsCutBeforeTheOldOneEnds()
    {
        await using var app = await StartAsync(TimeSpan.FromSeconds(5));
        using var client = MeshApp.MeshClient(_ca.Identity("shop", "web"), Cart, HttpVersion.Version20);
        using var stream = await OpenAsync(client, app);
        var end = app.Identity.Current.Svid.NotAfter;
        app.Identity.Replace(_ca.Identity("shop", "cart", generation: 2));

        await Assert.ThrowsAnyAsync<Exception>(() => ReadAsync(stream));

        // Generous for a busy machine; without the cut it would hang until the test's end.
        Assert.True(TimeProvider.System.GetUtcNow() < end.AddSeconds(10));
    }

    [Fact]
    public async Task PeersCertificate_Ends_ItsConnectionIsClosed()
    {
        await using var app = await StartAsync();
        using var client = MeshApp.MeshClient(_ca.Identity("shop", "web", TimeSpan.FromSeconds(4)), Cart, HttpVersion.Version20);
        using var stream = await OpenAsync(client, app);

        await Assert.ThrowsAnyAsync<Exception>(() => ReadAsync(stream));
    }

    [Fact]
    public async Task Refused_ServerNameAndAuthorityOfAnotherService_AreNoWayIn()
    {
        // SNI is not looked at and the authority names no identity: only the certificate says who calls, and only ours is shown.
        await using var app = await StartAsync();
        using var client = MeshApp.MeshClient(_ca.Identity("shop", "web"), Cart, HttpVersion.Version20);
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://127.0.0.1:{app.Port}/"))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Headers = { Host = "catalog.shop.svc.cluster.local" },
        };

        using var answer = await client.SendAsync(request, Token);

        Assert.Contains("spiffe://cluster.local/ns/shop/sa/web", await answer.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
        using var asked = MeshApp.MeshClient(_ca.Identity("shop", "web"), SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/catalog"), HttpVersion.Version20);
        await Assert.ThrowsAsync<HttpRequestException>(() => asked.GetStringAsync(new Uri($"http://127.0.0.1:{app.Port}/"), Token));
    }

    private static bool Is(CollectedMeasurement<long> measurement, string decision, string reason) =>
        (measurement.Tags[MeshTags.Decision] as string, measurement.Tags[MeshTags.Reason] as string) == (decision, reason);

    private async Task<MeshApp> StartAsync(TimeSpan? life = null)
    {
        var release = new Release();
        var app = await MeshApp.StartAsync(
            _ca,
            routes: routes => routes.MapGet("/stream", async (HttpContext context) =>
            {
                await context.Response.WriteAsync("start", context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
                await release.Task.WaitAsync(context.RequestAborted);
                await context.Response.WriteAsync("end", context.RequestAborted);
            }),
            services: services => services.AddSingleton(release));
        if (life is { } each)
        {
            app.Identity.Replace(_ca.Identity("shop", "cart", each));
        }

        app.Config.Set(MeshApp.Inbound($"127.0.0.1:{app.Port}"));
        return app;
    }

    private static async Task<HttpResponseMessage> OpenAsync(HttpClient client, MeshApp app) =>
        (await client.GetAsync(new Uri($"http://127.0.0.1:{app.Port}/stream"), HttpCompletionOption.ResponseHeadersRead, Token)).EnsureSuccessStatusCode();

    private static Task<string> ReadAsync(HttpResponseMessage response) => response.Content.ReadAsStringAsync(Token);

    /// <summary>Lets the streams end.</summary>
    private sealed class Release
    {
        private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Task => _released.Task;

        public void Now() => _released.TrySetResult();
    }
}
