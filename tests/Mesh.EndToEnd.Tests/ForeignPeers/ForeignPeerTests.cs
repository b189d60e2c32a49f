using System.Text.Json;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>gRPC clients that are not ours: they take their configuration from our control plane and reach our servers over mTLS, with files of the identity agent.</summary>
public sealed class ForeignPeerTests
{
    private const int Calls = 60;

    [Fact]
    public async Task GrpcJsXds_ResolvesAndCallsOverMtls_ReachesBothReplicas()
    {
        NodePeer.SkipUnlessInstalled();
        await NodePeer.InstallAsync();
        await CallFromAsync("node", Path.Combine(NodePeer.Folder, "client.js"));
    }

    [Fact]
    public async Task CoreFromPython_ResolvesAndCallsOverMtls_ReachesBothReplicas()
    {
        NodePeer.SkipUnlessInstalled();
        await CallFromAsync("/usr/bin/python3", Path.Combine(AppContext.BaseDirectory, "ForeignPeers", "python", "client.py"));
    }

    private static async Task CallFromAsync(string interpreter, string script)
    {
        int[] ports = [RunningMesh.FreePort(), RunningMesh.FreePort()];
        await using var mesh = await RunningMesh.StartAsync(("cart.yaml", RunningMesh.ServiceYaml("cart", 8080, ports)));
        foreach (var port in ports)
        {
            await mesh.StartServiceAsync("cart", port, app => app.MapGrpcService<WhoAmIService>(), builder =>
            {
                builder.Services.AddGrpc();
                builder.Services.AddSingleton(new WhoAmIService.Replica($"cart-{port}"));
                builder.WebHost.ConfigureKestrel(k => k.ConfigureEndpointDefaults(l => l.Protocols = HttpProtocols.Http2));
            });
        }

        await mesh.WaitUntilMeshedAsync("cart");
        var certificates = Path.Combine(mesh.Scratch("agent"), "certs");
        await using var agent = ChildProcess.StartOurs(
            "mesh", "identity", "agent", "--out", certificates, "--namespace", "shop", "--service-account", "storefront",
            "--control-plane", mesh.Grpc, "--trust-bundle", mesh.TrustBundle, "--token", await mesh.CreateTokenAsync("storefront"));
        await Eventually.Async(() => File.Exists(Path.Combine(certificates, "ca.crt")), "the agent writes its files: " + agent.Errors, TimeSpan.FromSeconds(30));
        await using var bootstrap = ChildProcess.StartOurs("mesh", "xds", "bootstrap", "--namespace", "shop", "--certs", certificates, "--ads-server", mesh.Ads);
        Assert.True(await bootstrap.ExitAsync(TimeSpan.FromSeconds(30)) == 0, bootstrap.Errors);
        var file = Path.Combine(mesh.Scratch("bootstrap"), "bootstrap.json");
        File.WriteAllText(file, bootstrap.Output);

        var acksBefore = (await mesh.StatusAsync()).GetProperty("acks").GetInt64();
        await using var peer = ChildProcess.Start(
            interpreter, [script, "xds:///cart.shop.svc.cluster.local:8080", "/whoami.v1.WhoAmI/Ask", $"{Calls}"],
            new Dictionary<string, string> { ["GRPC_XDS_BOOTSTRAP"] = file });
        var exit = await peer.ExitAsync(TimeSpan.FromSeconds(90));
        Assert.True(exit == 0, $"{interpreter} ended with {exit}: {peer.Errors}");

        var result = JsonDocument.Parse(peer.Output).RootElement;
        Assert.True(result.GetProperty("failures").GetArrayLength() == 0, $"{result}{Environment.NewLine}{peer.Errors}");
        var answers = result.GetProperty("answers").EnumerateObject().ToDictionary(a => a.Name, a => a.Value.GetInt32());
        Assert.Equal(ports.Select(p => $"cart-{p} spiffe://cluster.local/ns/shop/sa/storefront").Order(), answers.Keys.Order());
        Assert.Equal(Calls, answers.Values.Sum());

        // What crossed the wire was mesh TLS with the agent's identity: the servers counted it under its name, and the client refused nothing.
        var pair = default(JsonElement);
        await Eventually.Async(
            async () => (await mesh.GetAsync("/api/v1/pairs")).Any(p => p.GetProperty("source").GetString() == "storefront" && (pair = p).GetProperty("requests").GetInt64() == Calls),
            "the servers' metrics arrive");
        Assert.Equal(1, pair.GetProperty("mtls_share").GetDouble());
        // Counted since the start, so the peer that has gone is in it: one ACK each of LDS, RDS, CDS and EDS at the least, beside those of the two replicas.
        var status = await mesh.StatusAsync();
        Assert.Equal(0, status.GetProperty("nacks").GetInt64());
        Assert.True(status.GetProperty("acks").GetInt64() >= acksBefore + 4, $"{status}, {acksBefore} before");
    }
}
