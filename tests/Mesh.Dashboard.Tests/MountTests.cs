using System.Net;
using System.Net.Http.Json;
using System.Security.Claims;
using System.Text.Encodings.Web;
using System.Text.Json;
using Mesh.ControlPlane.Dashboard;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Xunit;

namespace Mesh.Dashboard.Tests;

/// <summary>The dashboard in an application of somebody else's.</summary>
public sealed class MountTests : IAsyncLifetime
{
    private const string Visitor = "X-Visitor";
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-mount-").FullName;
    private readonly List<IAsyncDisposable> _running = [];
    private readonly HttpClient _client = new(new HttpClientHandler { AllowAutoRedirect = false });

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        foreach (var app in _running)
        {
            await app.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Mounted_ShowsOnly_AndToWhomTheApplicationLetsIn()
    {
        var address = await StartAsync(app => app.MapMeshDashboard().RequireAuthorization());

        Assert.Equal(HttpStatusCode.Unauthorized, (await _client.GetAsync(new Uri(address, "/mesh/"), Cancelled)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await _client.GetAsync(new Uri(address, "/mesh/api/v1/info"), Cancelled)).StatusCode);
        _client.DefaultRequestHeaders.Add(Visitor, "ann");
        using var bare = await _client.GetAsync(new Uri(address, "/mesh"), Cancelled);
        Assert.Equal((HttpStatusCode.Found, "/mesh/"), (bare.StatusCode, bare.Headers.Location?.OriginalString));
        using var page = await _client.GetAsync(new Uri(address, "/mesh/"), Cancelled);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Contains("frame-ancestors 'none'", page.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);

        using var info = await _client.GetAsync(new Uri(address, "/mesh/api/v1/info"), Cancelled);
        Assert.Equal("cluster.local", (await info.Content.ReadFromJsonAsync<JsonElement>(Cancelled)).GetProperty("trust_domain").GetString());
        Assert.Equal("view", info.Headers.GetValues("X-Mesh-Dashboard").Single());
        foreach (var path in new[] { "tap", "top", "audit", "../../metrics" })
        {
            using var answer = await _client.GetAsync(new Uri(address, $"/mesh/api/v1/{path}"), Cancelled);
            Assert.NotEqual(HttpStatusCode.OK, answer.StatusCode);
        }

        using var change = await _client.PostAsJsonAsync(new Uri(address, "/mesh/api/v1/tokens"), new { @namespace = "shop", service_account = "cart" }, Cancelled);
        Assert.Equal(HttpStatusCode.Forbidden, change.StatusCode);
    }

    [Fact]
    public async Task Changes_WherePermitted_MustComeFromThePage()
    {
        var address = await StartAsync(app => app.MapMeshDashboard("/ops/mesh", o => o.AllowChanges = true));
        var tokens = new Uri(address, "/ops/mesh/api/v1/tokens");
        var body = new { @namespace = "shop", service_account = "cart" };

        Assert.Equal(HttpStatusCode.Forbidden, (await _client.PostAsJsonAsync(tokens, body, Cancelled)).StatusCode);
        _client.DefaultRequestHeaders.Add("X-Mesh-Dashboard", "1");
        Assert.Equal(HttpStatusCode.OK, (await _client.PostAsJsonAsync(tokens, body, Cancelled)).StatusCode);
    }

    [Fact]
    public async Task Stream_ComesThroughAsItIsSaid()
    {
        var address = await StartAsync(app => app.MapMeshDashboard());
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        using var answer = await _client.GetAsync(new Uri(address, "/mesh/api/v1/stream?topics=overview"), HttpCompletionOption.ResponseHeadersRead, limit.Token);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(limit.Token));

        Assert.Equal("event: overview", await reader.ReadLineAsync(limit.Token));
    }

    [Fact]
    public async Task WithoutAControlPlane_SaysWhatIsMissing()
    {
        var builder = WebApplication.CreateSlimBuilder();
        await using var app = builder.Build();

        var problem = Assert.Throws<Mesh.Hosting.MeshConfigurationException>(() => app.MapMeshDashboard());
        Assert.Contains("MeshDashboardOptions.Address", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PageThatIsLeftOut_IsSaidInPlainText()
    {
        var address = await StartAsync(app => app.MapDashboardFiles(new DashboardFiles(new Dictionary<string, DashboardFile>())), controlPlane: false);
        using var answer = await _client.GetAsync(address, Cancelled);

        Assert.Equal("text/plain", answer.Content.Headers.ContentType?.MediaType);
        Assert.Contains("eng/build-dashboard", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Files_AreCompressed_AndKeptForEverWhereTheirNameSaysWhatTheyHold()
    {
        var file = new DashboardFile("assets/a-1.js", "text/javascript", "plain"u8.ToArray(), "br"u8.ToArray(), "gz"u8.ToArray());
        var page = new DashboardFile("index.html", "text/html", "page"u8.ToArray(), default, default);
        var address = await StartAsync(app => app.MapDashboardFiles(new DashboardFiles(new Dictionary<string, DashboardFile> { [file.Path] = file, [page.Path] = page })), controlPlane: false);

        using var plain = await _client.GetAsync(new Uri(address, file.Path), Cancelled);
        Assert.Equal("plain", await plain.Content.ReadAsStringAsync(Cancelled));
        Assert.Contains("immutable", plain.Headers.CacheControl!.ToString(), StringComparison.Ordinal);
        Assert.Equal("br", await AskAsync("br, gzip"));
        Assert.Equal("gz", await AskAsync("gzip, br;q=0"));

        using var again = new HttpRequestMessage(HttpMethod.Get, new Uri(address, file.Path));
        again.Headers.IfNoneMatch.Add(plain.Headers.ETag!);
        using var known = await _client.SendAsync(again, Cancelled);
        Assert.Equal(HttpStatusCode.NotModified, known.StatusCode);
        using var root = await _client.GetAsync(address, Cancelled);
        Assert.True(root.Headers.CacheControl!.NoStore);

        async Task<string> AskAsync(string encodings)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(address, file.Path));
            request.Headers.TryAddWithoutValidation("Accept-Encoding", encodings);
            using var answer = await _client.SendAsync(request, Cancelled);
            return await answer.Content.ReadAsStringAsync(Cancelled);
        }
    }

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    private async Task<Uri> StartAsync(Action<WebApplication> map, bool controlPlane = true)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        if (controlPlane)
        {
            builder.Services.AddMeshControlPlane(o => (o.ConfigFolder, o.DataFolder, o.AdsPort, o.GrpcPort, o.HttpPort) = (Directory.CreateDirectory(Path.Combine(_folder, "manifests")).FullName, Path.Combine(_folder, "data"), 0, 0, 0));
        }

        builder.Services.AddAuthentication("test").AddScheme<AuthenticationSchemeOptions, ByHeader>("test", null);
        builder.Services.AddAuthorization();
        var app = builder.Build();
        _running.Add(app);
        map(app);
        await app.StartAsync(Cancelled);
        return new Uri(app.Urls.Single());
    }

    /// <summary>Stands for whatever login an application has.</summary>
    private sealed class ByHeader(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder) : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
    {
        protected override Task<AuthenticateResult> HandleAuthenticateAsync() => Task.FromResult(Request.Headers[Visitor].ToString() is { Length: > 0 } name
            ? AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.Name, name)], "test")), "test"))
            : AuthenticateResult.NoResult());
    }
}
