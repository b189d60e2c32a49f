using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Grpc.Core;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Xds;
using Mesh.Protos.Istio;
using Mesh.Testing;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.CertificateAuthority;

public sealed class TrustOverXdsTests
{
    [Fact]
    public async Task TrustBundle_IsForMeshNodesWithACertificateOnly()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var plaintext = controlPlane.PlaintextChannel();
        await using (var stream = new DeltaTestStream(plaintext))
        {
            await stream.SubscribeAsync(XdsTypes.TrustBundle, "cluster.local");
            Assert.Equal(["cluster.local"], (await stream.ReadAsync()).RemovedResources);
        }

        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        await using var foreign = new SotwTestStream(channel);
        var node = TestNode.Create();
        node.UserAgentName = "gRPC C-core";
        await foreign.SendAsync(new() { Node = node, TypeUrl = XdsTypes.TrustBundle, ResourceNames = { "cluster.local" } });
        Assert.Empty((await foreign.ReadAsync()).Resources);
        await using var mesh = new DeltaTestStream(channel);
        await mesh.SubscribeAsync(XdsTypes.TrustBundle, "cluster.local", "other.example");
        var answer = await mesh.ReadAsync();
        Assert.Equal(["other.example"], answer.RemovedResources);
        Assert.Equal("cluster.local", Assert.Single(answer.Resources).Name);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RootRotation_WaitsForTheAnswerOfEveryConnectedWorkload(bool delta)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await JoinAsync(controlPlane, "cart~1~shop");
        using var channel = controlPlane.TlsChannel(certificate);
        await using var stream = await BothStream.OpenAsync(channel, delta);
        Assert.Single((await stream.ReadAsync()).Roots);
        await stream.AnswerAsync();
        using var started = await PostAsync(controlPlane, "/api/v1/identity/root/rotate");
        Assert.Equal(200, (int)started.StatusCode);
        using var twice = await PostAsync(controlPlane, "/api/v1/identity/root/rotate");
        Assert.Equal(409, (int)twice.StatusCode);
        Assert.Contains("under way since", await twice.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);

        // Refused at first: nothing moves.
        Assert.Equal(2, (await stream.ReadAsync()).Roots.Count);
        await stream.AnswerAsync("not today");
        var status = await RootAsync(controlPlane);
        Assert.Equal("distributing", status.GetProperty("phase").GetString());
        Assert.Equal(["signing", "next"], status.GetProperty("roots").EnumerateArray().Select(r => r.GetProperty("role").GetString()));
        var wait = Assert.Single(status.GetProperty("waiting").EnumerateArray());
        Assert.Equal(("cart~1~shop", true, "roots"), (wait.GetProperty("node").GetString(), wait.GetProperty("connected").GetBoolean(), wait.GetProperty("for").GetString()));
        controlPlane.Services.GetRequiredService<AuthorityKeeper>().Tick();
        Assert.Equal("distributing", (await RootAsync(controlPlane)).GetProperty("phase").GetString());

        // A later version is taken: it goes on.
        controlPlane.Services.GetRequiredService<TrustBundleStore>().Revoke(new Revocation(null, "ab", null, DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddDays(1)));
        Assert.Equal(["ab"], (await stream.ReadAsync()).RevokedSerials);
        await stream.AnswerAsync();
        await Eventually.Async(async () => (await RootAsync(controlPlane)).GetProperty("phase").GetString() == "issuing", "the new root to sign", TimeSpan.FromSeconds(40));

        // What the workload holds is under the old root still: that is what the next step waits for, and it may renew by it.
        wait = Assert.Single((await RootAsync(controlPlane)).GetProperty("waiting").EnumerateArray());
        Assert.Equal(("cart~1~shop", "leaf"), (wait.GetProperty("node").GetString(), wait.GetProperty("for").GetString()));
        using var renewed = await Csr.CreateAsync(channel, Csr.For("spiffe://cluster.local/ns/shop/sa/cart"), null);
        Assert.NotEqual(certificate.Issuer, renewed.Issuer);
        using var again = controlPlane.TlsChannel(renewed);
        await Csr.SendAsync(again, Csr.For("spiffe://cluster.local/ns/shop/sa/cart").Pem, null);
    }

    /// <summary>Joins as a workload does that says what it calls itself.</summary>
    private static async Task<X509Certificate2> JoinAsync(TestControlPlane controlPlane, string node)
    {
        using var channel = controlPlane.TlsChannel();
        var csr = Csr.For("spiffe://cluster.local/ns/shop/sa/cart");
        var response = await new IstioCertificateService.IstioCertificateServiceClient(channel).CreateCertificateAsync(
            new IstioCertificateRequest { Csr = csr.Pem, Metadata = new() { Fields = { ["NODE_ID"] = Google.Protobuf.WellKnownTypes.Value.ForString(node) } } },
            new Metadata { { "authorization", $"Bearer {controlPlane.Token("shop", "cart")}" } }, cancellationToken: TestContext.Current.CancellationToken);
        return X509Certificate2.CreateFromPem(response.CertChain[0]).CopyWithPrivateKey(csr.Key);
    }

    private static async Task<HttpResponseMessage> PostAsync(TestControlPlane controlPlane, string path)
    {
        using var api = controlPlane.Api();
        return await api.PostAsync(path, null, TestContext.Current.CancellationToken);
    }

    private static async Task<JsonElement> RootAsync(TestControlPlane controlPlane)
    {
        using var api = controlPlane.Api();
        return JsonDocument.Parse(await api.GetStringAsync("/api/v1/identity/root", TestContext.Current.CancellationToken)).RootElement;
    }

    /// <summary>A workload's stream in either variant, following the trust bundle.</summary>
    private sealed class BothStream : IAsyncDisposable
    {
        private readonly DeltaTestStream? _delta;
        private readonly SotwTestStream? _sotw;
        private Mesh.Protos.Envoy.Discovery.DeltaDiscoveryResponse? _deltaLast;
        private Mesh.Protos.Envoy.Discovery.DiscoveryResponse? _sotwLast;

        private BothStream(Grpc.Net.Client.GrpcChannel channel, bool delta) => (_delta, _sotw) = delta ? (new DeltaTestStream(channel), null) : ((DeltaTestStream?)null, new SotwTestStream(channel));

        public static async Task<BothStream> OpenAsync(Grpc.Net.Client.GrpcChannel channel, bool delta)
        {
            var stream = new BothStream(channel, delta);
            await (stream._delta?.SubscribeAsync(XdsTypes.TrustBundle, "cluster.local") ?? stream._sotw!.SubscribeAsync(XdsTypes.TrustBundle, "cluster.local"));
            return stream;
        }

        public async Task<Mesh.Protos.Identity.TrustBundle> ReadAsync()
        {
            var bytes = _delta is not null
                ? (_deltaLast = await _delta.ReadAsync()).Resources.Single().Resource_.Value
                : (_sotwLast = await _sotw!.ReadAsync()).Resources.Single().Value;
            return Mesh.Protos.Identity.TrustBundle.Parser.ParseFrom(bytes);
        }

        public Task AnswerAsync(string? refuse = null) => _delta is not null ? _delta.AnswerAsync(_deltaLast!, refuse) : _sotw!.AnswerAsync(_sotwLast!, ["cluster.local"], refuse);

        public ValueTask DisposeAsync() => _delta?.DisposeAsync() ?? _sotw!.DisposeAsync();
    }
}
