using System.Net;
using System.Net.Sockets;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.Server.Tests;

public sealed class UseMeshTests : IDisposable
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly SpiffeId _cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Theory]
    [InlineData("2.0", "HTTP/2 http")]
    [InlineData("1.1", "HTTP/1.1 http")]
    public async Task UseMesh_MeshClient_IsServedWithItsIdentity(string version, string expected)
    {
        await using var app = await MeshApp.StartAsync(_ca);
        using var client = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, Version.Parse(version));

        var answer = await client.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token);

        const string web = "spiffe://cluster.local/ns/shop/sa/web";
        Assert.Equal($"{expected} {web} {web} tls=True", answer);
        Assert.Equal(1, app.Requests("web"));
    }

    [Fact]
    public async Task UseMesh_PlaintextClient_IsServedOnTheSamePortWithoutIdentity()
    {
        await using var app = await MeshApp.StartAsync(_ca);
        using var client = new HttpClient();

        Assert.Equal("HTTP/1.1 http nobody none tls=False", await client.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token));
        Assert.Equal(1, app.Requests(MeshTags.Unmeshed));
    }

    [Fact]
    public async Task UseMesh_ServerAddresses_ShowOnlyTheApps()
    {
        await using var app = await MeshApp.StartAsync(_ca);

        Assert.Equal([$"http://127.0.0.1:{app.Port}"], app.Addresses);
    }

    [Fact]
    public async Task UseMesh_Http2OnlyPlaintextEndpoint_TakesBothH2cAndMeshTls()
    {
        await using var app = await MeshApp.StartAsync(_ca, w => w.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.Protocols = HttpProtocols.Http2)));
        using var plain = new HttpClient { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var mesh = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, HttpVersion.Version20);

        Assert.StartsWith("HTTP/2 http nobody", await plain.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/2 http spiffe://", await mesh.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2.0")]
    [InlineData("1.1")]
    public async Task UseMesh_AppsOwnHttps_StaysTheApps(string version)
    {
        using var certificate = _ca.Server("localhost");
        await using var app = await MeshApp.StartAsync(_ca, w => w.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.UseHttps(certificate))));
        using var own = new HttpClient(new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, c, _, _) => c!.GetRawCertData().AsSpan().SequenceEqual(certificate.RawData) } })
        {
            DefaultRequestVersion = Version.Parse(version),
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using var mesh = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, Version.Parse(version));

        Assert.Equal($"HTTP/{(version == "2.0" ? "2" : version)} https nobody none tls=True", await own.GetStringAsync($"https://127.0.0.1:{app.Port}/", Token));
        Assert.Contains("http spiffe://cluster.local/ns/shop/sa/web", await mesh.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2.0")]
    [InlineData("1.1")]
    public async Task UseMesh_ForeignPeerWithoutMarker_IsServedWhereTheListenerSaysMeshTls(string version)
    {
        await using var app = await MeshApp.StartAsync(_ca);
        app.Config.Set(MeshApp.Inbound($"127.0.0.1:{app.Port}"));
        using var client = MeshApp.MeshClient(_ca.Identity("shop", "grpc-js"), _cart, Version.Parse(version), marker: false);

        Assert.Contains("spiffe://cluster.local/ns/shop/sa/grpc-js", await client.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task UseMesh_ClientOfAnotherAuthority_IsRefused()
    {
        using var other = new TestCa("cluster.local");
        await using var app = await MeshApp.StartAsync(_ca);
        var stranger = new Mesh.Identity.WorkloadIdentity(other.Identity("shop", "web").Svid, _ca.Bundle, 1);
        using var client = MeshApp.MeshClient(stranger, _cart, HttpVersion.Version20);

        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token));
        Assert.Equal(0, app.Requests("web"));
    }

    [Fact]
    public async Task UseMesh_ClientOfAnotherTrustDomain_IsRefused()
    {
        await using var app = await MeshApp.StartAsync(_ca);
        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        var names = new System.Security.Cryptography.X509Certificates.SubjectAlternativeNameBuilder();
        names.AddUri(new Uri("spiffe://other.example/ns/shop/sa/web"));
        var request = new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=x", key, System.Security.Cryptography.HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(names.Build());
        var leaf = System.Security.Cryptography.X509Certificates.ECDsaCertificateExtensions.CopyWithPrivateKey(_ca.Sign(request.CreateSigningRequestPem(), null, SpiffeId.Parse("spiffe://other.example/ns/shop/sa/web")), key);
        var stranger = new Mesh.Identity.WorkloadIdentity(new X509Svid(SpiffeId.Parse("spiffe://other.example/ns/shop/sa/web"), leaf, []), _ca.Bundle, 1);
        using var client = MeshApp.MeshClient(stranger, _cart, HttpVersion.Version20);

        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token));
    }

    [Fact]
    public async Task UseMesh_ClientHelloInSingleBytes_IsServed()
    {
        await using var app = await MeshApp.StartAsync(_ca);
        using var client = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, HttpVersion.Version20, wrap: s => new DribblingStream(s));

        Assert.Contains("sa/web", await client.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task UseMesh_StrictListener_AnswersPlaintextOnlyOnProbePaths()
    {
        await using var app = await MeshApp.StartAsync(_ca);
        app.Config.Set(MeshApp.Inbound($"127.0.0.1:{app.Port}", plaintext: false));
        using var plain = new HttpClient();
        using var mesh = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, HttpVersion.Version20);

        await Assert.ThrowsAsync<HttpRequestException>(() => plain.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token));
        Assert.Equal("alive", await plain.GetStringAsync($"http://127.0.0.1:{app.Port}/healthz", Token));
        Assert.Contains("sa/web", await mesh.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task UseMesh_ExcludedPort_IsUntouched()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        var port = ((IPEndPoint)probe.LocalEndpoint).Port;
        probe.Stop();
        await using var app = await MeshApp.StartAsync(
            _ca, w => w.UseUrls($"http://127.0.0.1:{port}"), services: s => Microsoft.Extensions.DependencyInjection.OptionsServiceCollectionExtensions.Configure<Mesh.Hosting.MeshOptions>(s, o => o.Server.ExcludedPorts.Add(port)));
        app.Config.Set(MeshApp.Inbound($"127.0.0.1:{port}", plaintext: false));
        using var plain = new HttpClient();
        using var mesh = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, HttpVersion.Version20);

        Assert.Contains("nobody", await plain.GetStringAsync($"http://127.0.0.1:{port}/", Token), StringComparison.Ordinal);
        await Assert.ThrowsAsync<HttpRequestException>(() => mesh.GetStringAsync($"http://127.0.0.1:{port}/", Token));
        Assert.Equal(0, app.Requests(MeshTags.Unmeshed));
    }

    [Fact]
    public async Task UseMesh_UnixSocket_TakesPlaintextAndMeshTls()
    {
        var path = Path.Combine(Path.GetTempPath(), $"mesh-{Guid.NewGuid():N}.sock");
        await using var app = await MeshApp.StartAsync(_ca, w => w.ConfigureKestrel(k => k.ListenUnixSocket(path)));
        var endpoint = new UnixDomainSocketEndPoint(path);
        using var plain = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, ct) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(endpoint, ct);
                return new NetworkStream(socket, true);
            },
        });
        using var mesh = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, HttpVersion.Version20, dial: endpoint);

        Assert.Contains("nobody", await plain.GetStringAsync("http://127.0.0.1/", Token), StringComparison.Ordinal);
        Assert.Contains("sa/web", await mesh.GetStringAsync("http://127.0.0.1/", Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task UseMesh_IdentityRenewedUnderLoad_LosesNoRequest()
    {
        await using var app = await MeshApp.StartAsync(_ca);
        var url = $"http://127.0.0.1:{app.Port}/";
        var web = _ca.Identity("shop", "web");
        using var live = MeshApp.MeshClient(web, _cart, HttpVersion.Version20);
        for (var generation = 2; generation < 10; generation++)
        {
            app.Identity.Replace(_ca.Identity("shop", "cart", generation: generation));
            using var fresh = MeshApp.MeshClient(web, _cart, HttpVersion.Version11);
            var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(i => (i % 2 == 0 ? live : fresh).GetStringAsync(url, Token)));
            Assert.All(answers, a => Assert.Contains("sa/web", a, StringComparison.Ordinal));
        }

        Assert.Equal(80, app.Requests("web"));
    }

    [Fact]
    public async Task UseMesh_StopWithRequestsInFlight_FinishesThem()
    {
        var entered = 0;
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var app = await MeshApp.StartAsync(_ca, routes: a => a.MapGet("/slow", async () =>
        {
            Interlocked.Increment(ref entered);
            await release.Task;
            return "done";
        }));
        var url = $"http://127.0.0.1:{app.Port}/slow";
        using var h2 = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, HttpVersion.Version20);
        using var h1 = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, HttpVersion.Version11);
        using var plain = new HttpClient();
        var calls = new[] { h2.GetStringAsync(url, Token), h2.GetStringAsync(url, Token), h1.GetStringAsync(url, Token), plain.GetStringAsync(url, Token) };
        await Eventually.Async(() => Volatile.Read(ref entered) == 4, "four requests are inside");

        var stopping = app.StopAsync(Token);
        await Eventually.Async(() => Refuses(app.Port), "the port is closed");
        Assert.False(stopping.IsCompleted);
        release.SetResult();

        Assert.All(await Task.WhenAll(calls), a => Assert.Equal("done", a));
        await stopping.WaitAsync(TimeSpan.FromSeconds(10), Token);
    }

    [Fact]
    public async Task UseMesh_WildcardBind_IsOneStrictAddressForIPv4AndIPv6()
    {
        await using var app = await MeshApp.StartAsync(_ca, web => web.UseUrls("http://*:0"));
        app.Config.Set(MeshApp.Inbound($"[::]:{app.Port}", plaintext: false));
        using var plain = new HttpClient();

        foreach (var host in new[] { "127.0.0.1", "[::1]" })
        {
            var dial = IPEndPoint.Parse($"{host}:{app.Port}");
            using var mesh = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, HttpVersion.Version20, dial: dial);
            Assert.Contains("sa/web", await mesh.GetStringAsync($"http://{host}:{app.Port}/", Token), StringComparison.Ordinal);
            await Assert.ThrowsAsync<HttpRequestException>(() => plain.GetStringAsync($"http://{host}:{app.Port}/", Token));
        }

        var endpoints = app.Services.GetRequiredService<MetricAggregate>().Series.SelectMany(s => s.Tags).Where(t => t.Key == MeshTags.Endpoint).Select(t => t.Value);
        Assert.Equal([$"127.0.0.1:{app.Port}", $"[::1]:{app.Port}"], endpoints.Distinct().Order(StringComparer.Ordinal));
    }

    [Fact]
    public void UseMesh_WildcardBind_IsTheLoopbackOfBothFamilies()
    {
        var ips = Mesh.Hosting.LocalNode.From(new Mesh.Hosting.MeshOptions()).InstanceIps;

        Assert.Contains("127.0.0.1", ips);
        Assert.Equal(Socket.OSSupportsIPv6, ips.Contains("::1"));
        Assert.Equal(ips.Distinct(), ips);
    }

    [Fact]
    public async Task UseMesh_PeersThatNeverSayAnything_HoldUpNeitherOthersNorTheStop()
    {
        await using var app = await MeshApp.StartAsync(_ca);
        var silent = new List<Socket>();
        for (var i = 0; i < 200; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(IPAddress.Loopback, app.Port, Token);
            silent.Add(socket);
        }

        using var mesh = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, HttpVersion.Version20);
        using var plain = new HttpClient();
        Assert.Contains("sa/web", await mesh.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token), StringComparison.Ordinal);
        Assert.Contains("nobody", await plain.GetStringAsync($"http://127.0.0.1:{app.Port}/", Token), StringComparison.Ordinal);

        await app.StopAsync(Token).WaitAsync(TimeSpan.FromSeconds(20), Token);
        silent.ForEach(s => s.Dispose());
    }

    [Fact]
    public async Task UseMesh_HandlerThrows_CountsFailure()
    {
        await using var app = await MeshApp.StartAsync(_ca);
        using var client = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, HttpVersion.Version20);

        using var response = await client.GetAsync($"http://127.0.0.1:{app.Port}/boom", Token);

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        await Eventually.Async(() => app.Requests("web", MeshTags.Failure) == 1, "the failure is counted");
    }

    private static bool Refuses(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Connect(IPAddress.Loopback, port);
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }
}
