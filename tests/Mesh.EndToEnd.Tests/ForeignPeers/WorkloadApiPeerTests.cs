using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Mesh.Testing;
using Xunit;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>A gRPC client that is not ours (C-core) takes its identity from the agent's Workload API.</summary>
public sealed class WorkloadApiPeerTests
{
    [Fact]
    public async Task CoreFromPython_FetchesX509Svid_GetsAWholeIdentity()
    {
        NodePeer.SkipUnlessInstalled();
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The agent serves the Workload API on Linux only.");
        await using var mesh = await RunningMesh.StartAsync(("cart.yaml", RunningMesh.ServiceYaml("cart", 80)));
        var socket = Path.Combine(mesh.Scratch("agent"), "api.sock");
        await using var agent = ChildProcess.StartOurs(
            "mesh", "identity", "agent", "--socket", socket, "--namespace", "shop", "--service-account", "cart",
            "--control-plane", mesh.Grpc, "--trust-bundle", mesh.TrustBundle, "--token", await mesh.CreateTokenAsync("cart"));
        await Eventually.Async(() => File.Exists(socket), "the agent serves: " + agent.Errors, TimeSpan.FromSeconds(30));

        var answer = await AskAsync(socket, "FetchX509SVID");
        Assert.Equal("spiffe://cluster.local/ns/shop/sa/cart", answer.GetProperty("id").GetString());
        using var leaf = X509CertificateLoader.LoadCertificate(Convert.FromHexString(answer.GetProperty("chain").GetString()!));
        using var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(Convert.FromHexString(answer.GetProperty("key").GetString()!), out _);
        Assert.Equal(leaf.PublicKey.ExportSubjectPublicKeyInfo(), key.ExportSubjectPublicKeyInfo());
        Assert.NotEmpty(answer.GetProperty("bundle").GetString()!);

        Assert.Equal("INVALID_ARGUMENT", (await AskAsync(socket, "FetchX509SVID", "without-header")).GetProperty("error").GetString());
        Assert.Equal("UNIMPLEMENTED", (await AskAsync(socket, "FetchJWTBundles")).GetProperty("error").GetString());
        await agent.TerminateAsync();
        Assert.Equal(0, await agent.ExitAsync(TimeSpan.FromSeconds(10)));
        Assert.False(File.Exists(socket));
    }

    private static async Task<JsonElement> AskAsync(params string[] arguments)
    {
        await using var peer = ChildProcess.Start("/usr/bin/python3", [Path.Combine(AppContext.BaseDirectory, "ForeignPeers", "python", "workload_api.py"), .. arguments]);
        Assert.True(await peer.ExitAsync(TimeSpan.FromSeconds(60)) == 0, peer.Errors);
        return JsonDocument.Parse(peer.Output).RootElement;
    }
}
