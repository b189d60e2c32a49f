using System.Net.Http.Json;
using System.Text.Json;
using Grpc.Core;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>The root is replaced while services of ours call each other and servers that are not ours; no call notices, and nothing is restarted.</summary>
public sealed class RootRotationTests
{
    private const string Ask = "/whoami.v1.WhoAmI/Ask";
    private const string Rotation = "/api/v1/identity/root";

    [Fact]
    public async Task Root_RotatedUnderLoad_WithGrpcJsAndCoreInTheMiddle_NoCallFailsAndTheOldRootIsOver()
    {
        NodePeer.SkipUnlessInstalled();
        var ports = new[] { "front", "catalog", "cart", "stock" }.ToDictionary(s => s, _ => RunningMesh.FreePort());
        await using var mesh = await RunningMesh.StartAsync([.. ports.Select(p => ($"{p.Key}.yaml", RunningMesh.ServiceYaml(p.Key, 80, p.Value)))]);

        // A certificate of a day under the old root, whose holder is gone: it shows afterwards what becomes of such.
        await using (await Agent.StartAsync(mesh, "past"))
        {
        }

        var old = Agent.Identity(mesh, "past");
        await SendAsync(mesh, HttpMethod.Put, "/api/v1/identity/leaf_life", new { seconds = 30 });
        await using var cart = await ForeignWorkload.StartAsync(mesh, ForeignServer.GrpcJs, "cart", ports["cart"], Ask);
        await using var stock = await ForeignWorkload.StartAsync(mesh, ForeignServer.Core, "stock", ports["stock"], Ask);
        var clients = new Dictionary<string, HttpClient>();
        foreach (var service in new[] { "front", "catalog" })
        {
            var app = await mesh.StartServiceAsync(service, ports[service], a => a.MapGet("/", () => service), b => b.Services.AddHttpClient(service));
            clients[service] = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient(service);
        }

        await mesh.WaitUntilMeshedAsync([.. ports.Keys]);
        await using var toCart = await MeshCaller.StartAsync(mesh, "buyer", "xds:///cart.shop.svc.cluster.local:80");
        await using var toStock = await MeshCaller.StartAsync(mesh, "buyer", "xds:///stock.shop.svc.cluster.local:80");
        await Eventually.Async(
            async () => (await toCart.CallAsync(Ask)).Code == StatusCode.OK && (await toStock.CallAsync(Ask)).Code == StatusCode.OK, "the servers that are not ours serve", TimeSpan.FromSeconds(30));
        foreach (var service in new[] { "cart", "stock" })
        {
            Assert.Equal(StatusCode.OK, (await RawClient.CallAsync(ports[service], old, Ask)).Code);
        }

        var before = await RootAsync(mesh);
        Assert.Equal("stable", before.GetProperty("phase").GetString());
        await using var forth = new SteadyCalls(clients["front"], "http://catalog/", "catalog");
        await using var back = new SteadyCalls(clients["catalog"], "http://front/", "front");
        await using var carts = Steady(toCart);
        await using var stocks = Steady(toStock);
        SteadyCalls[] flows = [forth, back, carts, stocks];
        await Task.WhenAll(flows.Select(f => f.FlowAsync()));
        await SendAsync(mesh, HttpMethod.Post, Rotation + "/rotate");
        await SendAsync(mesh, HttpMethod.Post, "/api/v1/identity/revocations", new { serial = old.TargetCertificate.SerialNumber });
        var (after, phases) = (before, new List<string>());
        await Eventually.Async(
            async () =>
            {
                after = await RootAsync(mesh);
                var phase = after.GetProperty("phase").GetString()!;
                if (phases.LastOrDefault() != phase)
                {
                    phases.Add(phase);
                }

                return phase == "stable";
            },
            "the rotation is over",
            TimeSpan.FromSeconds(240));
        Assert.Equal(["distributing", "issuing", "retiring", "stable"], phases);
        Assert.NotEqual(Id(before), Id(after));
        await Task.WhenAll(flows.Select(f => f.FlowAsync()));
        foreach (var flow in flows)
        {
            var failed = await flow.EndAsync();
            Assert.True(failed.Count == 0, string.Join('\n', failed));
        }

        Assert.DoesNotContain(mesh.Logs.GetSnapshot(), record => record.Level >= LogLevel.Error);

        // Revoked until now, which ours alone know; from here on its root is all that is wrong with it.
        await SendAsync(mesh, HttpMethod.Delete, "/api/v1/identity/revocations", new { serial = old.TargetCertificate.SerialNumber });
        await using var present = await Agent.StartAsync(mesh, "present");
        var current = Agent.Identity(mesh, "present");
        foreach (var service in new[] { "cart", "stock" })
        {
            Assert.NotEqual(StatusCode.OK, (await RawClient.CallAsync(ports[service], old, Ask)).Code);
            Assert.Equal(StatusCode.OK, (await RawClient.CallAsync(ports[service], current, Ask)).Code);
        }

        await Eventually.Async(
            async () =>
            {
                Assert.NotEqual(StatusCode.OK, (await RawClient.CallAsync(ports["front"], old, Ask)).Code);
                return mesh.Logs.GetSnapshot().Any(r => r.Message.Contains("The certificate of 'spiffe://cluster.local/ns/shop/sa/past' does not chain to the trust bundle", StringComparison.Ordinal));
            },
            "ours refuses it for its root",
            TimeSpan.FromSeconds(30));
        Assert.Equal(0, (await mesh.StatusAsync()).GetProperty("nacks").GetInt64());
    }

    private static SteadyCalls Steady(MeshCaller caller) => new(
        async () => await caller.CallAsync(Ask) is var (code, text) && code == StatusCode.OK ? null : $"{code}: {text}", 1, TimeSpan.FromMilliseconds(10));

    private static Task<JsonElement> RootAsync(RunningMesh mesh) => mesh.Api.GetFromJsonAsync<JsonElement>(Rotation);

    private static string Id(JsonElement root) => Assert.Single(root.GetProperty("roots").EnumerateArray()).GetProperty("id").GetString()!;

    private static async Task SendAsync(RunningMesh mesh, HttpMethod method, string path, object? body = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        using var answer = await mesh.Api.SendAsync(request);
        Assert.True(answer.IsSuccessStatusCode, $"{path}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
    }
}
