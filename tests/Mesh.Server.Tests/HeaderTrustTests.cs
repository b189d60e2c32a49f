using Mesh.Hosting;
using Mesh.Testing;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>Checklist C 29, 30, 32: which headers of whom reach the app.</summary>
public sealed class HeaderTrustTests : IDisposable
{
    private static readonly string[] _identity = ["x-forwarded-client-cert", "x-envoy-peer-metadata", "x-envoy-expected-rq-timeout-ms", "mesh-error", "mesh-orig-proto", "x-mesh-claim-sub", "x-mesh-anything", "request-timeout"];
    private static readonly string[] _forwarding = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-user", "forwarded", "x-real-ip", "x-envoy-external-address"];
    private static readonly string[] _others = ["x-request-id", "x-tenant", "authorization", "traceparent", "meshes", "x-meshy", "x_forwarded_for", "fordwarded", "range", "grpc-timeout"];
    private readonly TestCa _ca = new("cluster.local");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Fact]
    public async Task Plaintext_OfNobodyKnown_LosesWhatOnlyTheMeshMaySay()
    {
        await using var app = await GuardedApp.StartAsync(_ca, filter: null);

        Assert.Equal(_others.Order(), await SentAsync(app, app.Client()));
        Assert.Equal(_others.Order(), await SentAsync(app, app.Client()));

        var told = Assert.Single(app.Logs, r => r.Message.Contains("Mesh:Server:TrustedProxies", StringComparison.Ordinal));
        Assert.Equal(LogLevel.Information, told.Level);
        Assert.Contains("x-forwarded-client-cert", told.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task MeshPeer_KeepsAll_ButWhatIsForSidecars(string version)
    {
        await using var app = await GuardedApp.StartAsync(_ca, filter: null);

        Assert.Contains("mesh-orig-proto", _identity);
        Assert.Equal(_others.Concat(_identity).Concat(_forwarding).Except(["mesh-orig-proto"]).Order(), await SentAsync(app, app.Client(version)));
    }

    [Fact]
    public async Task TrustedProxy_KeepsForwardingHeadersAndNoIdentity()
    {
        await using var app = await GuardedApp.StartAsync(_ca, filter: null, o => o.Server.TrustedProxies.Add("127.0.0.0/8"));

        Assert.Equal(_others.Concat(_forwarding).Order(), await SentAsync(app, app.Client()));
    }

    [Fact]
    public async Task OtherProxyThanTheTrusted_LosesThem()
    {
        await using var app = await GuardedApp.StartAsync(_ca, filter: null, o => o.Server.TrustedProxies.Add("10.0.0.0/8"));

        Assert.Equal(_others.Order(), await SentAsync(app, app.Client()));
    }

    [Fact]
    public async Task ExcludedPort_IsLeftAlone()
    {
        var port = FreePort.Next();
        await using var app = await MeshApp.StartAsync(
            _ca,
            web: web => Microsoft.AspNetCore.Hosting.HostingAbstractionsWebHostBuilderExtensions.UseUrls(web, $"http://127.0.0.1:{port}"),
            routes: routes => Microsoft.AspNetCore.Builder.EndpointRouteBuilderExtensions.MapGet(routes, "/h", (Microsoft.AspNetCore.Http.HttpContext c) => c.Request.Headers["x-forwarded-for"].ToString()),
            services: services => Microsoft.Extensions.DependencyInjection.OptionsServiceCollectionExtensions.Configure<MeshOptions>(services, o => o.Server.ExcludedPorts.Add(port)));
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port}/h");
        request.Headers.Add("x-forwarded-for", "1.2.3.4");

        using var response = await client.SendAsync(request, Cancel);

        Assert.Equal("1.2.3.4", await response.Content.ReadAsStringAsync(Cancel));
    }

    [Fact]
    public async Task ConnectionHeader_DeletesNothing()
    {
        await using var app = await GuardedApp.StartAsync(_ca, filter: null);

        var (status, seen, _) = await app.RawAsync("GET /admin HTTP/1.1\r\nHost: cart\r\nConnection: close, x-auth\r\nKeep-Alive: timeout=1\r\nX-Auth: yes\r\n\r\n", Cancel);

        Assert.Equal((200, "yes"), (status, seen!.Headers["x-auth"]));
    }

    [Theory]
    [InlineData("X-A: a\r\n b\r\n")]
    [InlineData("X-A: a\0b\r\n")]
    [InlineData("X-A: a\rb\r\n")]
    [InlineData("X A: a\r\n")]
    [InlineData(": a\r\n")]
    public async Task MalformedHeaders_AreRefusedByTheServer(string header)
    {
        await using var app = await GuardedApp.StartAsync(_ca, filter: null);

        Assert.Equal(400, (await app.GetAsync("/admin", Cancel, more: header)).Status);
    }

    [Fact]
    public async Task HugeHeader_IsRefusedByTheServer()
    {
        await using var app = await GuardedApp.StartAsync(_ca, filter: null);

        Assert.Equal(431, (await app.GetAsync("/admin", Cancel, more: $"X-A: {new string('a', 64 * 1024)}\r\n")).Status);
    }

    private static async Task<IEnumerable<string>> SentAsync(GuardedApp app, HttpClient client)
    {
        using (client)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(app.Url, "/admin")) { Version = client.DefaultRequestVersion, VersionPolicy = client.DefaultVersionPolicy };
            foreach (var name in _identity.Concat(_forwarding).Concat(_others))
            {
                request.Headers.TryAddWithoutValidation(name, name switch { "request-timeout" => "5", "grpc-timeout" => "5S", _ => "1000" });
            }

            using var response = await client.SendAsync(request, Cancel);
            var seen = GuardedApp.Seen.Parse(await response.Content.ReadAsStringAsync(Cancel));
            return seen.Headers.Keys.Where(k => k is not "host").Order();
        }
    }
}
