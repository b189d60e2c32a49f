using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.EndToEnd.Tests.Protos;
using Mesh.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>gRPC servers that are not ours: they take their inbound configuration from our control plane, and are called over mTLS and nothing else.</summary>
[Trait("gRFC", "A36")]
public sealed class ForeignServerTests
{
    private const string Ask = "/whoami.v1.WhoAmI/Ask";
    private const string Caller = "spiffe://cluster.local/ns/shop/sa/storefront";

    [Theory]
    [InlineData(ForeignServer.GrpcJs)]
    [InlineData(ForeignServer.Core)]
    public async Task Server_ConfiguredByUs_IsCalledOverMtlsByOursAndByGrpcJsAndRefusesAllOthers(string peer)
    {
        NodePeer.SkipUnlessInstalled();
        await NodePeer.InstallAsync();
        var port = RunningMesh.FreePort();
        await using var mesh = await RunningMesh.StartAsync(("cart.yaml", RunningMesh.ServiceYaml("cart", 8080, port)));
        await using var cartAgent = await Agent.StartAsync(mesh, "cart", "--serves", $"127.0.0.1:{port}");
        await using var server = await ForeignServer.StartAsync(peer, await Agent.BootstrapAsync(mesh, "cart"), $"127.0.0.1:{port}", peer, [Ask]);
        await using var storefrontAgent = await Agent.StartAsync(mesh, "storefront");
        var storefront = Agent.Identity(mesh, "storefront");

        // The agent's word is enough: it stands for the server with its identity.
        await mesh.WaitUntilMeshedAsync("cart");
        var last = default((StatusCode, string));
        await Eventually.Async(
            async () => (last = await RawClient.CallAsync(port, storefront, Ask)).Item1 == StatusCode.OK, $"it serves: {last} {server.Errors}", TimeSpan.FromSeconds(30));

        Assert.Equal((peer, Caller), await AskByOurClientAsync(mesh));
        await AssertGrpcJsReachesItAsync(mesh, peer);

        Assert.NotEqual(StatusCode.OK, (await RawClient.CallAsync(port, (X509Certificate2?)null, Ask)).Code);
        using var stranger = new TestCa("cluster.local");
        Assert.NotEqual(StatusCode.OK, (await RawClient.CallAsync(port, stranger.Identity("shop", "storefront").Svid.Leaf, Ask)).Code);
        using (var plain = new HttpClient { DefaultRequestVersion = new Version(2, 0), DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact })
        {
            await Assert.ThrowsAnyAsync<HttpRequestException>(() => plain.GetAsync(new Uri($"http://127.0.0.1:{port}{Ask}"), TestContext.Current.CancellationToken));
        }

        // The same call again, so that what was refused was not refused for want of a server.
        Assert.Equal(StatusCode.OK, (await RawClient.CallAsync(port, storefront, Ask)).Code);
        Assert.Equal(0, (await mesh.StatusAsync()).GetProperty("nacks").GetInt64());
    }

    /// <summary>A wildcard bind is resolved by the addresses that <c>mesh xds bootstrap</c> wrote.</summary>
    [Theory]
    [InlineData(ForeignServer.GrpcJs, "0.0.0.0")]
    [InlineData(ForeignServer.Core, "0.0.0.0")]
    [InlineData(ForeignServer.Core, "[::]")]
    public async Task Server_OnEveryAddress_IsFoundByTheAddressesOfItsBootstrap(string peer, string any)
    {
        NodePeer.SkipUnlessInstalled();
        var port = RunningMesh.FreePort();
        await using var mesh = await RunningMesh.StartAsync(("cart.yaml", RunningMesh.ServiceYaml("cart", 8080, port)));
        await using var agent = await Agent.StartAsync(mesh, "cart", "--serves", $"{any}:{port}");
        await using var server = await ForeignServer.StartAsync(peer, await Agent.BootstrapAsync(mesh, "cart"), $"{any}:{port}", peer, [Ask]);

        await mesh.WaitUntilMeshedAsync("cart");
        var answer = default((string, string));
        await Eventually.Async(
            async () =>
            {
                try
                {
                    return (answer = await AskByOurClientAsync(mesh)) == (peer, Caller);
                }
                catch (RpcException e)
                {
                    answer = ("", e.Message);
                    return false;
                }
            },
            $"our client is answered: {answer} {server.Errors}",
            TimeSpan.FromSeconds(30));
    }

    private static async Task<(string Replica, string Caller)> AskByOurClientAsync(RunningMesh mesh)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(await mesh.SettingsAsync("storefront"));
        builder.Services.AddMesh();
        using var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        using var channel = MeshChannel.ForAddress("xds:///cart.shop.svc.cluster.local:8080", host.Services);
        var answer = await new WhoAmI.WhoAmIClient(channel).AskAsync(
            new Question(), deadline: DateTime.UtcNow.AddSeconds(20), cancellationToken: TestContext.Current.CancellationToken);
        await host.StopAsync(TestContext.Current.CancellationToken);
        return (answer.Replica, answer.Caller);
    }

    private static async Task AssertGrpcJsReachesItAsync(RunningMesh mesh, string replica)
    {
        const int Calls = 5;
        await using var client = ChildProcess.Start(
            "node",
            [Path.Combine(NodePeer.Folder, "client.js"), "xds:///cart.shop.svc.cluster.local:8080", Ask, Calls.ToString(CultureInfo.InvariantCulture)],
            new Dictionary<string, string> { ["GRPC_XDS_BOOTSTRAP"] = await Agent.BootstrapAsync(mesh, "storefront") });
        Assert.True(await client.ExitAsync(TimeSpan.FromSeconds(90)) == 0, client.Errors);
        var result = JsonDocument.Parse(client.Output).RootElement;
        Assert.True(result.GetProperty("failures").GetArrayLength() == 0, $"{result}{Environment.NewLine}{client.Errors}");
        Assert.Equal(Calls, result.GetProperty("answers").GetProperty($"{replica} {Caller}").GetInt32());
    }
}
