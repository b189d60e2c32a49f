using System.Net;
using System.Text;
using System.Text.Json;
using Grpc.Core;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Xds;
using Mesh.ControlPlane.Xds;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.CertificateAuthority;

public sealed class RevocationTests
{
    private const string Cart = "spiffe://cluster.local/ns/shop/sa/cart";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Revoked_IsRefusedEverywhere_AndItsLiveStreamEnds(bool bySerial)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.TrustBundle, "cluster.local");
        Assert.Empty(TrustOf((await stream.ReadAsync()).Resources[0].Resource_.Value).RevokedSerials);
        using var bystander = await controlPlane.JoinAsync("shop", "web");
        using var otherChannel = controlPlane.TlsChannel(bystander);
        await using var other = new DeltaTestStream(otherChannel);
        await other.SubscribeAsync(XdsTypes.TrustBundle, "cluster.local");
        await other.ReadAsync();

        var body = bySerial ? $$"""{"serial":"{{certificate.SerialNumber}}","reason":"stolen"}""" : """{"id":"shop/cart"}""";
        Assert.Equal(HttpStatusCode.OK, await SendAsync(controlPlane, HttpMethod.Post, body));

        var ended = await Assert.ThrowsAsync<RpcException>(stream.ReadAsync);
        Assert.Equal(StatusCode.PermissionDenied, ended.StatusCode);
        Assert.Contains("is revoked", ended.Status.Detail, StringComparison.Ordinal);
        var told = TrustOf((await other.ReadAsync()).Resources[0].Resource_.Value);
        Assert.Equal(bySerial ? [] : [Cart], told.RevokedIds);
        Assert.Equal(bySerial ? [Certificates.NormalSerial(certificate.SerialNumber)] : [], told.RevokedSerials);

        // The connection that was there, a new one, and a new token.
        Assert.NotEqual(StatusCode.OK, (await RefusedAsync(() => Csr.SendAsync(channel, Csr.For(Cart).Pem, null))).StatusCode);
        using var again = controlPlane.TlsChannel(certificate);
        await RefusedAsync(() => Csr.SendAsync(again, Csr.For(Cart).Pem, null));
        Assert.Contains(controlPlane.Logs.GetSnapshot(), l => l.Message.StartsWith("Refused a TLS client", StringComparison.Ordinal) && l.Message.Contains("is revoked", StringComparison.Ordinal));
        using var bare = controlPlane.TlsChannel();
        if (bySerial)
        {
            await Csr.SendAsync(bare, Csr.For(Cart).Pem, controlPlane.Token("shop", "cart"));
        }
        else
        {
            var refused = await RefusedAsync(() => Csr.SendAsync(bare, Csr.For(Cart).Pem, controlPlane.Token("shop", "cart")));
            Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        }

        // Others go on; and what is undone is believed again.
        await Csr.SendAsync(otherChannel, Csr.For("spiffe://cluster.local/ns/shop/sa/web").Pem, null);
        Assert.Equal(HttpStatusCode.OK, await SendAsync(controlPlane, HttpMethod.Delete, body.Replace(",\"reason\":\"stolen\"", string.Empty, StringComparison.Ordinal)));
        using var believed = controlPlane.TlsChannel(certificate);
        await Csr.SendAsync(believed, Csr.For(Cart).Pem, null);
    }

    [Theory]
    [InlineData("POST", "{}", 400)]
    [InlineData("POST", """{"id":"shop/cart","serial":"aa"}""", 400)]
    [InlineData("POST", """{"id":"nonsense"}""", 400)]
    [InlineData("POST", """{"serial":"xyz"}""", 400)]
    [InlineData("POST", """{"serial":"00"}""", 400)]
    [InlineData("POST", """{"serial":"12345678901234567890123456789012345678901"}""", 400)]
    [InlineData("POST", """{"id":"spiffe://other.example/ns/shop/sa/cart"}""", 400)]
    [InlineData("POST", """{"serial":"00:AB:cd"}""", 200)]
    [InlineData("DELETE", """{"id":"shop/cart"}""", 404)]
    [InlineData("DELETE", "{}", 400)]
    public async Task Api_GoodAndBad(string method, string body, int status)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        Assert.Equal(status, (int)await SendAsync(controlPlane, new HttpMethod(method), body));
        Assert.Equal(status == 200 ? "abcd" : null, controlPlane.Services.GetRequiredService<TrustBundleStore>().Revocations.SingleOrDefault()?.Serial);
    }

    [Fact]
    public void Entries_SurviveARestart_AndThoseOfCertificatesGoWithThem()
    {
        using var ca = new AuthorityFixture();
        var leaf = ca.Start().Leaf(life: TimeSpan.FromHours(1));
        ca.Trust.Revoke(new Revocation(null, Certificates.Serial(leaf.Leaf), null, ca.Time.GetUtcNow(), Certificates.NotAfter(leaf.Leaf)));
        ca.Trust.Revoke(new Revocation(Cart, null, "left", ca.Time.GetUtcNow(), null));
        var version = ca.Trust.Current.Version;

        ca.Start();
        Assert.Equal(version, ca.Trust.Current.Version);
        Assert.True(ca.Trust.Current.IsRevoked(Certificates.Serial(leaf.Leaf)));
        ca.Time.Advance(TimeSpan.FromDays(7));
        ca.Keeper.Tick();
        Assert.True(ca.Trust.Current.IsRevoked(Certificates.Serial(leaf.Leaf)));
        ca.Time.Advance(TimeSpan.FromHours(2));
        ca.Keeper.Tick();

        Assert.False(ca.Trust.Current.IsRevoked(Certificates.Serial(leaf.Leaf)));
        Assert.Equal("left", Assert.Single(ca.Start().Trust.Revocations).Reason);
        Assert.NotNull(ca.Trust.Current.RevocationOf(AuthorityFixture.Cart, null));
    }

    [Fact]
    public async Task Issuer_Revoked_ItsLeavesAreRefusedAndCannotRenew()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.TrustBundle, "cluster.local");
        await stream.ReadAsync();
        var serial = Certificates.Serial(controlPlane.Services.GetRequiredService<MeshAuthority>().State.Signing.Issuer.Certificate);

        // While it signs the API does not; here it stands for one that signs no more.
        Assert.Equal(HttpStatusCode.Conflict, await SendAsync(controlPlane, HttpMethod.Post, $$"""{"serial":"{{serial}}"}"""));
        controlPlane.Services.GetRequiredService<TrustBundleStore>().Revoke(new Revocation(null, serial, null, DateTimeOffset.UtcNow, null));

        var ended = await Assert.ThrowsAsync<RpcException>(stream.ReadAsync);
        Assert.Equal(StatusCode.PermissionDenied, ended.StatusCode);
        Assert.Contains(serial, ended.Status.Detail, StringComparison.Ordinal);
        await RefusedAsync(() => Csr.SendAsync(channel, Csr.For(Cart).Pem, null));
        using var again = controlPlane.TlsChannel(certificate);
        await RefusedAsync(() => Csr.SendAsync(again, Csr.For(Cart).Pem, null));
        Assert.Contains(controlPlane.Logs.GetSnapshot(), l => l.Message.StartsWith("Refused a TLS client", StringComparison.Ordinal) && l.Message.Contains(serial, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Stream_WhoseCertificateEnds_EndsWithinAMinute()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        var parts = controlPlane.Services.GetRequiredService<AdsParts>() with { Time = time };
        parts.Trust.Chains.Remember(new Peer(AuthorityFixture.Cart, "root", ["ab", "cd"], time.GetUtcNow().AddSeconds(50)));
        var running = new SotwSession(parts, AuthorityFixture.Cart, "ab", "test").RunAsync(new Silent(), new Nobody(), TestContext.Current.CancellationToken);
        Assert.False(running.IsCompleted);

        time.Advance(TimeSpan.FromMinutes(1));

        var ended = await Assert.ThrowsAsync<RpcException>(() => running);
        Assert.Equal(StatusCode.Unauthenticated, ended.StatusCode);
        Assert.Contains("is over", ended.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task UnknownSerial_HasNoEnd()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        Assert.Equal(HttpStatusCode.OK, await SendAsync(controlPlane, HttpMethod.Post, """{"serial":"abcd"}"""));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(controlPlane, HttpMethod.Post, $$"""{"serial":"{{certificate.SerialNumber}}"}"""));

        var entries = controlPlane.Services.GetRequiredService<TrustBundleStore>().Revocations;
        Assert.Equal(2, entries.Count);
        Assert.Null(entries[0].Until);
        Assert.Equal(certificate.NotAfter.ToUniversalTime(), entries[1].Until!.Value.UtcDateTime);
    }

    /// <summary>Workloads refuse a whole bundle for one entry that is no identity of theirs.</summary>
    [Fact]
    public void Entries_OfAnotherTrustDomain_AreNotTold()
    {
        using var ca = new AuthorityFixture();
        ca.Start().Trust.Revoke(new Revocation(Cart, null, null, ca.Time.GetUtcNow(), null));
        Assert.Equal([Cart], TrustOf(ca.Trust.Current.Resource).RevokedIds);
        ca.Options.TrustDomain = "other.example";

        Assert.Empty(TrustOf(ca.Start().Trust.Current.Resource).RevokedIds);
        Assert.Throws<ArgumentException>(() => ca.Trust.Revoke(new Revocation(Cart, null, "again", ca.Time.GetUtcNow(), null)));
        Assert.Throws<ArgumentException>(() => ca.Trust.Revoke(new Revocation(null, new string('a', 41), null, ca.Time.GetUtcNow(), null)));
        ca.Options.TrustDomain = "cluster.local";
        Assert.Equal([Cart], TrustOf(ca.Start().Trust.Current.Resource).RevokedIds);
    }

    private static Mesh.Protos.Identity.TrustBundle TrustOf(Google.Protobuf.ByteString bytes) => Mesh.Protos.Identity.TrustBundle.Parser.ParseFrom(bytes);

    private static Task<RpcException> RefusedAsync(Func<Task> call) => Assert.ThrowsAsync<RpcException>(call);

    private static async Task<HttpStatusCode> SendAsync(TestControlPlane controlPlane, HttpMethod method, string body)
    {
        using var api = controlPlane.Api();
        using var request = new HttpRequestMessage(method, "/api/v1/identity/revocations") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        using var response = await api.SendAsync(request, TestContext.Current.CancellationToken);
        if ((int)response.StatusCode >= 400)
        {
            Assert.NotEmpty(JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement.GetProperty("detail").GetString()!);
        }

        return response.StatusCode;
    }

    /// <summary>Asks nothing, and stays.</summary>
    private sealed class Silent : IAsyncStreamReader<DiscoveryRequest>
    {
        public DiscoveryRequest Current => throw new InvalidOperationException("Nothing was read.");

        public async Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using var registration = cancellationToken.Register(cancelled.SetResult);
            await cancelled.Task;
            throw new OperationCanceledException(cancellationToken);
        }
    }

    private sealed class Nobody : IServerStreamWriter<DiscoveryResponse>
    {
        public WriteOptions? WriteOptions { get; set; }

        public Task WriteAsync(DiscoveryResponse message) => Task.CompletedTask;
    }
}
