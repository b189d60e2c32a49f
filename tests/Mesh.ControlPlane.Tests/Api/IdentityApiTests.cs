using System.Net;
using System.Text.Json;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Tests.CertificateAuthority;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Xds;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Api;

public sealed class IdentityApiTests
{
    [Fact]
    public async Task Workloads_ListAndShow_TellCertificatesAndChains()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var first = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(first);
        using var second = await Csr.CreateAsync(channel, Csr.For("spiffe://cluster.local/ns/shop/sa/cart"), null);
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.LeafPolicy, "default");
        await stream.ReadAsync();

        var entries = (await GetAsync(controlPlane, "/api/v1/identity/workloads")).EnumerateArray().ToList();
        Assert.All(entries, e => Assert.Equal("spiffe://cluster.local/ns/shop/sa/cart", e.GetProperty("identity").GetString()));
        var newest = entries.Single(e => e.GetProperty("serial").GetString() == Certificates.NormalSerial(second.SerialNumber));
        Assert.InRange(newest.GetProperty("hours_left").GetDouble(), 23.9, 24);
        Assert.Equal($"certificate {Certificates.NormalSerial(first.SerialNumber)}", newest.GetProperty("attested").GetString());

        var shown = (await GetAsync(controlPlane, "/api/v1/identity/workloads/show?id=shop%2Fcart")).EnumerateArray().First().GetProperty("chain").EnumerateArray().ToList();
        Assert.Equal(["leaf", "issuer", "root"], shown.Select(c => c.GetProperty("role").GetString()));
        Assert.Equal("URI:spiffe://cluster.local/ns/shop/sa/cart", shown[0].GetProperty("names")[0].GetString());
        Assert.Equal("URI:spiffe://cluster.local", shown[1].GetProperty("names")[0].GetString());
        Assert.StartsWith("CN=mesh root", shown[2].GetProperty("subject").GetString(), StringComparison.Ordinal);
        Assert.All(shown, c => Assert.Equal("EC P-256", c.GetProperty("key").GetString()));

        using var api = controlPlane.Api();
        Assert.Equal(HttpStatusCode.NotFound, (await api.GetAsync("/api/v1/identity/workloads/show?id=shop%2Fnobody", TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, (await api.GetAsync("/api/v1/identity/workloads/show?id=nobody", TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task NothingThatTheApiTells_HoldsAKey()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.TrustBundle, "cluster.local");
        await stream.ReadAsync();
        using var api = controlPlane.Api();
        await api.PostAsync("/api/v1/identity/root/rotate", null, TestContext.Current.CancellationToken);
        // The second line of each key's PEM: the first is the same for all keys of a kind.
        var stored = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(controlPlane.Data, AuthorityStore.FileName), TestContext.Current.CancellationToken)).RootElement;
        var keys = new[] { stored.GetProperty("signing"), stored.GetProperty("next") }
            .SelectMany(s => new[] { s.GetProperty("rootKey").GetString()!, s.GetProperty("issuerKey").GetString()! }).Select(k => k.Split('\n')[2]).ToList();
        Assert.Equal(4, keys.Distinct().Count());

        foreach (var path in new[] { "identities", "identity/workloads", "identity/workloads/show?id=shop/cart", "identity/root", "identity/revocations", "checks", "clients", "config_dump", "status" })
        {
            var text = await api.GetStringAsync($"/api/v1/{path}", TestContext.Current.CancellationToken);
            Assert.DoesNotContain(keys, k => text.Contains(k, StringComparison.Ordinal));
            Assert.DoesNotContain("PRIVATE KEY", text, StringComparison.Ordinal);
        }

        Assert.DoesNotContain(controlPlane.Logs.GetSnapshot(), l => keys.Any(k => $"{l.Message} {l.Exception}".Contains(k, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task RootRotate_OfAGivenRoot_IsRefusedWithTheWay()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-root-").FullName;
        using var given = new GivenCa("given", new FakeTimeProvider(DateTimeOffset.UtcNow));
        var (certificate, key) = (Path.Combine(folder, "ca.crt"), Path.Combine(folder, "ca.key"));
        await File.WriteAllTextAsync(certificate, given.Pem, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(key, given.KeyPem, TestContext.Current.CancellationToken);
        await using (var controlPlane = await TestControlPlane.StartAsync(configure: o => (o.RootCertificate, o.RootKey) = (certificate, key)))
        {
            using var api = controlPlane.Api();
            using var response = await api.PostAsync("/api/v1/identity/root/rotate", null, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.Conflict, response.StatusCode);
            Assert.Contains("--root-cert", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Checks_NameWhatEndsSoon_AndBrokenFiles()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-issuer-").FullName;
        using var given = new GivenCa("given", new FakeTimeProvider(DateTimeOffset.UtcNow), life: TimeSpan.FromDays(50));
        var (certificate, key) = given.Issuer("given issuer", life: TimeSpan.FromDays(20));
        await File.WriteAllTextAsync(Path.Combine(folder, "tls.crt"), certificate, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(folder, "tls.key"), key, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(folder, "ca.crt"), given.Pem, TestContext.Current.CancellationToken);
        await using (var controlPlane = await TestControlPlane.StartAsync(configure: o => o.Issuer = folder))
        {
            Assert.Equal(["ok", "ok", "ok", "ok", "ok"], await ResultsAsync(controlPlane));
            await File.WriteAllTextAsync(Path.Combine(folder, "tls.key"), given.KeyPem, TestContext.Current.CancellationToken);
            var keeper = controlPlane.Services.GetRequiredService<AuthorityKeeper>();
            keeper.Tick();
            keeper.Tick();
            Assert.Equal(["ok", "ok", "error", "ok", "ok", "ok"], await ResultsAsync(controlPlane));
        }

        Directory.Delete(folder, recursive: true);

        static async Task<List<string?>> ResultsAsync(TestControlPlane controlPlane) =>
        [
            .. (await GetAsync(controlPlane, "/api/v1/checks")).EnumerateArray().Where(c => c.GetProperty("category").GetString() == "certificates").Select(c => c.GetProperty("result").GetString()),
        ];
    }

    [Fact]
    public async Task Metrics_TellTheAuthorityAndWhatWasRefused()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        await Assert.ThrowsAsync<Grpc.Core.RpcException>(() => Csr.SendAsync(channel, Csr.For("spiffe://cluster.local/ns/shop/sa/cart").Pem, "no-such-token"));
        using var api = new HttpClient { BaseAddress = new Uri(controlPlane.Addresses.Http) };
        var text = await api.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.Contains("mesh_controlplane_certificates_refused_total 1\n", text, StringComparison.Ordinal);
        Assert.Contains("mesh_controlplane_root_rotation_phase 0\n", text, StringComparison.Ordinal);
        Assert.Matches("mesh_controlplane_issuer_expires_seconds 77[0-9]{5}\n", text);
    }

    private static async Task<JsonElement> GetAsync(TestControlPlane controlPlane, string path)
    {
        using var api = controlPlane.Api();
        return JsonDocument.Parse(await api.GetStringAsync(path, TestContext.Current.CancellationToken)).RootElement;
    }
}
