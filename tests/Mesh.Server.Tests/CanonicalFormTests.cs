using Mesh.Config;
using Mesh.Hosting;
using Mesh.Testing;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>Checklist B 16–18 and 20, against real Kestrel and real endpoint routing: what the app would reach is what policies judge, or it is refused.</summary>
public sealed class CanonicalFormTests : IAsyncLifetime
{
    private static readonly HttpFilterSettings _guard = new JwtAuthentication([], []);
    private readonly TestCa _ca = new("cluster.local");
    private GuardedApp _open = null!;
    private GuardedApp _guarded = null!;
    private GuardedApp _normalizing = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _open = await GuardedApp.StartAsync(_ca, filter: null);
        _guarded = await GuardedApp.StartAsync(_ca, _guard);
        _normalizing = await GuardedApp.StartAsync(_ca, _guard, o => o.Server.AmbiguousPaths = MeshAmbiguousRequests.Normalize);
    }

    public async ValueTask DisposeAsync()
    {
        await _open.DisposeAsync();
        await _guarded.DisposeAsync();
        await _normalizing.DisposeAsync();
        _ca.Dispose();
    }

    // What Kestrel and routing make of a target without us (the endpoint, 400 for a refusal), guarded, and normalizing.
    [Theory]
    [InlineData("/admin", "admin", "admin", "admin")]
    [InlineData("/admin/", "admin", "admin", "admin")]
    [InlineData("/ADMIN", "admin", "admin", "admin")]
    [InlineData("/%61dmin", "admin", "admin", "admin")]
    [InlineData("/./admin", "admin", "admin", "admin")]
    [InlineData("/x/../admin", "admin", "admin", "admin")]
    [InlineData("/x/%2e%2e/admin", "admin", "admin", "admin")]
    [InlineData("/x/%2E./admin", "admin", "admin", "admin")]
    [InlineData("/../admin", "admin", "admin", "admin")]
    [InlineData("/admin/%2e", "admin", "admin", "admin")]
    [InlineData("/admin?a=b", "admin", "admin", "admin")]
    [InlineData("/admin;x", "fallback", "fallback", "fallback")]
    [InlineData("/admin/;x", "fallback", "fallback", "fallback")]
    [InlineData("/admin.", "fallback", "fallback", "fallback")]
    [InlineData("/admin%20", "fallback", "fallback", "fallback")]
    [InlineData("/admin%23", "fallback", "fallback", "fallback")]
    [InlineData("/admin%3fx", "fallback", "fallback", "fallback")]
    [InlineData("/adm%C3%AFn", "fallback", "fallback", "fallback")]
    [InlineData("//admin", "fallback", "400", "admin")]
    [InlineData("/admin//", "fallback", "400", "admin")]
    [InlineData("/a//b", "fallback", "400", "a/b")]
    [InlineData("/x//..//admin", "fallback", "400", "fallback")]
    [InlineData("/a%2fb", "fallback", "400", "400")]
    [InlineData("/%2fadmin", "fallback", "400", "400")]
    [InlineData("/x/..%2fadmin", "fallback", "400", "400")]
    [InlineData("/a%5cb", "fallback", "400", "400")]
    [InlineData("/a\\b", "fallback", "400", "400")]
    [InlineData("/x/..\\admin", "fallback", "400", "400")]
    [InlineData("/..;/admin", "fallback", "400", "400")]
    [InlineData("/admin%01", "fallback", "400", "400")]
    [InlineData("/admin%0d%0a", "fallback", "400", "400")]
    [InlineData("/admin%7f", "fallback", "400", "400")]
    [InlineData("/adm%C0%AFin", "fallback", "400", "400")]
    [InlineData("/%ff", "fallback", "400", "400")]
    [InlineData("/admin#frag", "fallback", "400", "400")]
    [InlineData("/admin?a#b", "admin", "400", "400")]
    [InlineData("/%2561dmin", "fallback", "400", "400")]
    [InlineData("/a%252fb", "fallback", "400", "400")]
    [InlineData("/admin%00", "400", "400", "400")]
    [InlineData("/adm\u00efn", "400", "400", "400")]
    [InlineData("http://cart/admin", "admin", "admin", "admin")]
    [InlineData("http://cart/x/../admin", "admin", "admin", "admin")]
    [InlineData("http://cart/a%2fb", "a/b", "400", "400")]
    [InlineData("http://cart/a\\b", "a/b", "400", "400")]
    [InlineData("http://cart/a%5cb", "fallback", "400", "400")]
    [InlineData("http://cart/%2e%2e%2fadmin", "fallback", "400", "400")]
    [InlineData("http://cart//admin", "fallback", "400", "admin")]
    [InlineData("http://user@cart/admin", "admin", "400", "400")]
    [InlineData("http://other/admin", "400", "400", "400")]
    public async Task Path_OverHttp1(string target, string open, string guarded, string normalizing)
    {
        Assert.Equal((open, guarded, normalizing), (await ReachedAsync(_open, target), await ReachedAsync(_guarded, target), await ReachedAsync(_normalizing, target)));
    }

    [Theory]
    [InlineData("/%61dmin", 200)]
    [InlineData("/x/%2e%2e/admin", 200)]
    [InlineData("//admin", 400)]
    [InlineData("/a%2fb", 400)]
    [InlineData("/a%5cb", 400)]
    [InlineData("/adm%C0%AFin", 400)]
    [InlineData("/%2561dmin", 400)]
    public async Task Path_OverMeshTlsAndHttp2(string target, int status)
    {
        using var client = _guarded.Client("2.0");
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://{_guarded.Address}{target}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }))
        {
            Version = client.DefaultRequestVersion,
            VersionPolicy = client.DefaultVersionPolicy,
        };

        using var response = await client.SendAsync(request, Cancel);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(status == 400, response.Headers.TryGetValues("mesh-error", out var error) && error.Single() == "BadRequest");
    }

    [Theory]
    [InlineData("cart", 200, "cart")]
    [InlineData("CART.Shop", 200, "cart.shop")]
    [InlineData("cart.shop.:8080", 200, "cart.shop:8080")]
    [InlineData("[::1]:80", 200, "[::1]:80")]
    [InlineData("xn--bcher-kva.de", 200, "xn--bcher-kva.de")]
    [InlineData("", 200, "")]
    [InlineData("127.1", 400, null)]
    [InlineData("..", 400, null)]
    [InlineData("a.com:0", 400, null)]
    [InlineData("a.com:99999", 400, null)]
    [InlineData("user@cart", 400, null)]
    [InlineData("[fe80::1%25eth0]", 400, null)]
    [InlineData("b\u00fccher.de", 400, null)]
    [InlineData("a,b", 400, null)]
    [InlineData("a\r\nHost: b", 400, null)]
    [InlineData("a\r\nHost: a", 400, null)]
    public async Task Host_IsOneOrRefused(string host, int status, string? seen)
    {
        var answer = await _guarded.GetAsync("/admin", Cancel, host);

        Assert.Equal((status, seen), (answer.Status, answer.Seen?.Host));
    }

    [Theory]
    [InlineData("GET", "admin", "admin")]
    [InlineData("get", "400", "admin")]
    [InlineData("Delete", "400", "delete")]
    [InlineData("DELETE", "delete", "delete")]
    [InlineData("TRACE", "fallback", "fallback")]
    [InlineData("PURGE", "fallback", "fallback")]
    public async Task Method_OfOtherCase_IsOneOrRefused(string method, string guarded, string normalizing)
    {
        Assert.Equal((guarded, normalizing), (await ReachedAsync(_guarded, "/admin", method), await ReachedAsync(_normalizing, "/admin", method)));
        var seen = (await _normalizing.GetAsync("/admin", Cancel, method: method)).Seen!;
        Assert.Equal(method.ToUpperInvariant(), seen.Method);
    }

    [Fact]
    public async Task TargetsWithoutPath_AreNoWayAround()
    {
        Assert.Equal("fallback", await ReachedAsync(_guarded, "*", "OPTIONS"));
        Assert.Equal("fallback", await ReachedAsync(_guarded, "cart:443", "CONNECT", host: "cart:443"));
        Assert.Equal("/", new HttpContextHead(new DefaultHttpContext().Request).Path);
    }

    [Theory]
    [InlineData("X-HTTP-Method-Override")]
    [InlineData("x-http-method")]
    [InlineData("X-Method-Override")]
    public async Task MethodOverride_DoesNotPassAPolicy(string header)
    {
        Assert.True((await _open.GetAsync("/admin", Cancel, more: $"{header}: DELETE\r\n")).Seen!.Headers.ContainsKey(header.ToLowerInvariant()));
        Assert.False((await _guarded.GetAsync("/admin", Cancel, more: $"{header}: DELETE\r\n")).Seen!.Headers.ContainsKey(header.ToLowerInvariant()));
    }

    [Fact]
    public async Task Refused_SaysNoMoreThanThat()
    {
        var (status, _, head) = await _guarded.GetAsync("//admin", Cancel);

        Assert.Equal(400, status);
        Assert.Contains("mesh-error: BadRequest", head, StringComparison.OrdinalIgnoreCase);
        Assert.Contains(_guarded.Logs, r => r.Message.Contains("their path can be read in more than one way", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Probe_IsAnsweredWhateverIsGuarded() => Assert.Equal(200, (await _guarded.GetAsync("/healthz", Cancel, host: "127.1")).Status);

    [Theory]
    [InlineData("a=1&a=2", "a", "1")]
    [InlineData("a=1;b=2", "a", "1;b=2")]
    [InlineData("=x&a", "a", "")]
    [InlineData("%61=1", "a", "1")]
    [InlineData("A=1", "a", null)]
    [InlineData("a+b=1+2", "a b", "1 2")]
    public void Query_FirstOfItsName_AsTheAppReadsIt(string query, string name, string? value)
    {
        var read = Mesh.Routing.RouteMatcher.QueryValue(query, name);
        Assert.Equal(value, read);
        var app = Microsoft.AspNetCore.WebUtilities.QueryHelpers.ParseQuery(query);
        Assert.Equal(value, app.Keys.Contains(name, StringComparer.Ordinal) ? app[name][0] : null);
    }

    /// <summary>Differential property: a rule that denies <c>/admin</c>, judged on the canonical form ignoring case and a slash at the end, hits whatever reaches the endpoint. Prints its seed.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task RandomTargets_NeverReachTheProtectedEndpointUndenied(int seed)
    {
        string[] parts = ["/", "//", "admin", "ADMIN", "a", "b", ".", "..", "%2e", "%2f", "%5c", "\\", ";x", "%61dmin", "%00", "%01", "%20", "#", "?x", "%C0%AF", "%252f", "%", "/admin", "/../", "/./", "/a/b"];
        var random = new Random(seed);
        var reached = 0;
        foreach (var app in (GuardedApp[])[_guarded, _normalizing])
        {
            for (var i = 0; i < 250; i++)
            {
                var target = (random.Next(5) == 0 ? "http://cart" : string.Empty) + "/" + string.Concat(Enumerable.Range(0, random.Next(1, 6)).Select(_ => parts[random.Next(parts.Length)]));
                var (status, seen, _) = await app.GetAsync(target, Cancel);
                if (seen is null)
                {
                    // 200 is the endpoint at the root.
                    Assert.True(status is 200 or 400 or 404 or 405, $"seed {seed}: {target} was answered {status}");
                    continue;
                }

                // What a policy sees of the same request is what the app saw.
                var denied = string.Equals(seen.Path.TrimEnd('/'), "/admin", StringComparison.OrdinalIgnoreCase);
                Assert.True(denied == (seen.Endpoint == "admin"), $"seed {seed}: {target} reached {seen.Endpoint} as {seen.Path}");
                Assert.False(CanonicalPath.IsAmbiguous(seen.Path, "/"), $"seed {seed}: {target} was seen as {seen.Path}");
                reached += seen.Endpoint == "admin" ? 1 : 0;
            }
        }

        Assert.True(reached > 10, $"seed {seed}: only {reached} reached it, which shows little");
    }

    [Fact]
    public async Task Open_AppBehavesAsWithoutTheMesh()
    {
        var seen = (await _open.GetAsync("//x%2fy;z", Cancel, "Cart.:80")).Seen!;
        Assert.Equal(("//x%2fy;z", "Cart.:80"), (seen.Path, seen.Host));
    }

    private static async Task<string> ReachedAsync(GuardedApp app, string target, string method = "GET", string host = "cart")
    {
        var (status, seen, _) = await app.GetAsync(target, Cancel, host, method: method);
        return seen?.Endpoint ?? status.ToString(System.Globalization.CultureInfo.InvariantCulture);
    }
}
