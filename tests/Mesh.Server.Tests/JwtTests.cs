using System.Diagnostics.Metrics;
using System.Net;
using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Jwt;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Time.Testing;
using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>Checklist B 28 over real requests, with WireMock as the OIDC issuer.</summary>
public sealed class JwtTests : IAsyncLifetime
{
    private const string Issuer = "https://issuer.test";
    private static readonly RouteMatch _all = new(null, [], null);
    private readonly TestCa _ca = new("cluster.local");
    private readonly TestIssuer _first = new(keyId: "one");
    private readonly TestIssuer _second = new("RS256", "two");
    private readonly WireMockServer _oidc = WireMockServer.Start();
    private GuardedApp _app = null!;
    private MetricCollector<long> _decisions = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static DateTimeOffset Soon => TimeProvider.System.GetUtcNow().AddMinutes(10);

    private JwtProvider Provider => new("p", Issuer, [], Inline(_first));

    public async ValueTask InitializeAsync()
    {
        _app = await GuardedApp.StartAsync(_ca, filter: null, o =>
        {
            o.Jwks.AllowHttp = true;
            o.Jwks.AllowedNetworks.Add("127.0.0.0/8");
            o.Jwks.AllowedNetworks.Add("::1");
        });
        _decisions = new MetricCollector<long>(_app.App.Services.GetRequiredService<IMeterFactory>(), "Mesh", MeshTags.ServerDecisions);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _decisions.Dispose();
        _oidc.Stop();
        _oidc.Dispose();
        _first.Dispose();
        _second.Dispose();
        _ca.Dispose();
    }

    [Theory]
    [InlineData(null)]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Genuine_IsAUserOfTheApp(string? version)
    {
        Require(Provider with { ClaimHeaders = [new("x-mesh-claim-sub", "sub"), new("x-team", "org.team"), new("x-roles", "roles"), new("x-evil", "evil"), new("x-none", "none")] });
        var token = _first.Token(Soon, more: ""","roles":["reader","writer"],"org":{"team":"blue"},"age":7,"admin":true,"evil":"a\r\nx: y","spiffe_id":"spiffe://cluster.local/ns/shop/sa/root" """);

        var (status, seen) = await GetAsync(token, version, ("x-mesh-claim-sub", "root"), ("x-team", "red"), ("x-none", "mine"), ("x-evil", "mine"));

        Assert.Equal(200, status);
        Assert.Equal(("ada", "reader,writer", "7", "true", Issuer), (seen!.Claims["sub"], seen.Claims["roles"], seen.Claims["age"], seen.Claims["admin"], seen.Claims["iss"]));
        Assert.Equal((true, "ada"), (seen.IsUser, seen.Name));
        Assert.Equal(("ada", "blue"), (seen.Headers["x-mesh-claim-sub"], seen.Headers["x-team"]));
        Assert.Equal("""["reader","writer"]""", Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(seen.Headers["x-roles"])));
        Assert.DoesNotContain("x-evil", seen.Headers.Keys);
        Assert.DoesNotContain("x-none", seen.Headers.Keys);
        Assert.DoesNotContain("authorization", seen.Headers.Keys);
        Assert.Equal(version is null ? null : "spiffe://cluster.local/ns/shop/sa/web", seen.Claims.GetValueOrDefault("spiffe_id"));
    }

    [Fact]
    public async Task Genuine_Forwarded_StaysInTheRequest()
    {
        Require(Provider with { Forward = true });
        var token = _first.Token(Soon);

        Assert.Equal($"Bearer {token}", (await GetAsync(token)).Seen!.Headers["authorization"]);
        Assert.Equal(200, (await GetAsync(token)).Status);
    }

    [Fact]
    public async Task NoToken_WhereItMayBeMissing_IsNobody()
    {
        Require(Provider, missing: true);

        var (status, seen) = await GetAsync(null, null, ("x-mesh-claim-sub", "root"));

        Assert.Equal((200, false), (status, seen!.IsUser));
        Assert.Empty(seen.Claims);
        Assert.Equal(200, (await _app.GetAsync("/admin", Cancel, more: "Authorization: Basic YWRhOng=\r\n")).Status);
        Assert.Equal(200, (await _app.GetAsync("/admin", Cancel, more: "Authorization: BearerX\r\n")).Status);
    }

    [Fact]
    public async Task NoToken_WhereItIsNeeded_IsChallenged()
    {
        Require(Provider);

        var (status, _, head) = await _app.GetAsync("/admin", Cancel);

        Assert.Equal(401, status);
        Assert.Contains("WWW-Authenticate: Bearer\r\n", head + "\r\n", StringComparison.OrdinalIgnoreCase);
        Assert.Contains("mesh-error: Unauthenticated", head, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(200, (await _app.GetAsync("/healthz", Cancel)).Status);
    }

    [Theory]
    [InlineData("expired")]
    [InlineData("not_yet_valid")]
    [InlineData("issuer")]
    [InlineData("audience")]
    [InlineData("signature")]
    [InlineData("unknown_key")]
    [InlineData("algorithm")]
    [InlineData("malformed")]
    [InlineData("too_large")]
    public async Task Bad_Is401AndTheReasonStaysInside(string reason)
    {
        Require(Provider with { Audiences = ["shop"] }, missing: true);
        const string Shop = ",\"aud\":[\"shop\"]";
        using var forger = new TestIssuer(keyId: "one");
        var token = reason switch
        {
            "expired" => _first.Token(TimeProvider.System.GetUtcNow().AddMinutes(-2), more: Shop),
            "not_yet_valid" => _first.Token(Soon, more: $"{Shop},\"nbf\":{Soon.ToUnixTimeSeconds()}"),
            "issuer" => _first.Token(Soon, "https://other.test", Shop),
            "audience" => _first.Token(Soon, more: ",\"aud\":\"mall\""),
            "signature" => forger.Token(Soon, more: Shop),
            "unknown_key" => _second.Token(Soon, more: Shop),
            "algorithm" => _first.Sign($"{{\"iss\":\"{Issuer}\"}}", """{"alg":"none"}"""),
            "too_large" => new string('a', 16 * 1024 + 1),
            _ => "a.b",
        };
        Assert.Equal(200, (await GetAsync(_first.Token(Soon, more: Shop))).Status);

        var (status, _, head) = await _app.GetAsync("/admin", Cancel, more: $"Authorization: Bearer {token}\r\n");

        Assert.Equal(401, status);
        Assert.Contains("WWW-Authenticate: Bearer error=\"invalid_token\"\r\n", head + "\r\n", StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(reason, head, StringComparison.Ordinal);
        Assert.Equal(1, Decided(reason));
        var told = Assert.Single(_app.Logs, r => r.Message.Contains("answered 401", StringComparison.Ordinal));
        Assert.Contains(reason, told.Message, StringComparison.Ordinal);
        Assert.All(_app.Logs, r => Assert.DoesNotContain(token, r.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Bad_OverGrpc_IsUnauthenticated()
    {
        Require(Provider);
        using var client = _app.Client("2.0");
        using var channel = GrpcChannel.ForAddress(_app.Url, new GrpcChannelOptions { HttpClient = client });

        var e = await Assert.ThrowsAsync<RpcException>(async () =>
            await channel.CreateCallInvoker().AsyncUnaryCall(WorkService.UnaryMethod, null, new CallOptions(new Metadata { { "authorization", "Bearer x.y.z" } }, cancellationToken: Cancel), "hi"));

        Assert.Equal(StatusCode.Unauthenticated, e.StatusCode);
        Assert.Equal("mesh: the bearer token is not valid", e.Status.Detail);
    }

    [Fact]
    public async Task TwoTokens_OneBad_IsRefusedWhateverTheOther()
    {
        Require(Provider with { Places = [JwtPlace.Bearer, new(true, "x-token", string.Empty)] });
        var good = _first.Token(Soon);

        Assert.Equal(200, (await GetAsync(good, null, ("x-token", _first.Token(Soon, more: ",\"a\":1")))).Status);
        Assert.Equal(401, (await GetAsync(good, null, ("x-token", "x.y.z"))).Status);
        Assert.Equal(401, (await _app.GetAsync("/admin", Cancel, more: $"Authorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n")).Status);
    }

    [Fact]
    public async Task Failed_WhereThatIsAllowed_IsNobody()
    {
        Set(new JwtAuthentication([Provider], [new(_all, new(["p"], true, true))]));

        var (status, seen) = await GetAsync("x.y.z");

        Assert.Equal((200, false), (status, seen!.IsUser));
    }

    [Fact]
    public async Task Rules_FirstThatMatchesCounts()
    {
        Set(new JwtAuthentication(
            [Provider],
            [
                new(new RouteMatch(new Traffic.StringMatcher(Traffic.StringMatchKind.Exact, "/a/b"), [], null), null),
                new(_all, new(["p"], false, false)),
            ]));

        Assert.Equal(200, (await _app.GetAsync("/a/b", Cancel)).Status);
        Assert.Equal(401, (await _app.GetAsync("/admin", Cancel)).Status);
        // Another spelling of a free path is no way in.
        Assert.Equal(401, (await _app.GetAsync("/a/b/../../admin", Cancel)).Status);
        Assert.Equal(400, (await _app.GetAsync("/a%2fb", Cancel)).Status);
    }

    [Fact]
    public async Task Parameter_IsTakenOutOfTheQuery()
    {
        Require(Provider with { Places = [new(false, "token", string.Empty)] });
        var token = _first.Token(Soon);

        Assert.Equal("?a=1&b=2", (await _app.GetAsync($"/admin?a=1&token={token}&b=2", Cancel)).Seen!.Query);
        Assert.Equal("", (await _app.GetAsync($"/admin?token={token}", Cancel)).Seen!.Query);
        Assert.Equal(401, (await _app.GetAsync($"/admin?token={token}&token={token}", Cancel)).Status);
        Assert.Equal(401, (await _app.GetAsync($"/admin?%74oken=x.y.z&token={token}", Cancel)).Status);
        Assert.Equal(401, (await _app.GetAsync("/admin?Token=x", Cancel)).Status);
    }

    [Fact]
    public async Task Rotation_NewKeyIsAskedForOnce_OldTokensEndWithTheirKey()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var app = await RemoteAsync(time);
        Publish(_first);
        Require(Remote(), app: app);
        var (old, next) = (_first.Token(Soon), _second.Token(Soon));
        Assert.Equal(200, await StatusAsync(app, old));
        Assert.Equal(200, await StatusAsync(app, old));

        Publish(_first, _second);
        Assert.Equal(401, await StatusAsync(app, next));
        time.Advance(TimeSpan.FromSeconds(31));
        Assert.Equal(200, await StatusAsync(app, next));
        Assert.Equal(200, await StatusAsync(app, old));
        Assert.Equal(2, _oidc.LogEntries.Count);

        Publish(_second);
        time.Advance(TimeSpan.FromMinutes(11));
        var later = time.GetUtcNow().AddMinutes(5);
        Assert.Equal(401, await StatusAsync(app, _first.Token(later)));
        Assert.Equal(401, await StatusAsync(app, old));
        Assert.Equal(200, await StatusAsync(app, _second.Token(later)));
    }

    [Fact]
    public async Task IssuerAway_FailsClosed_AndRecovers()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var app = await RemoteAsync(time);
        _oidc.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(500));
        Require(Remote(), app: app, missing: true);

        Assert.Equal(401, await StatusAsync(app, _first.Token(Soon)));
        Assert.Equal(200, await StatusAsync(app, null));
        Assert.Contains(app.Logs, r => r.Message.Contains("keys_unavailable", StringComparison.Ordinal) && r.Message.Contains(Issuer, StringComparison.Ordinal));

        Publish(_first);
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(200, await StatusAsync(app, _first.Token(Soon)));
    }

    [Fact]
    public async Task Stampede_HundredRequests_OneFetch()
    {
        _oidc.Given(Request.Create()).RespondWith(Response.Create().WithBody(TestIssuer.Set(_first)).WithDelay(300));
        Require(Remote());
        var tokens = Enumerable.Range(0, 10).Select(i => _first.Token(Soon, more: $",\"n\":{i}")).ToArray();

        var statuses = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => StatusAsync(_app, tokens[i % tokens.Length])));

        Assert.All(statuses, s => Assert.Equal(200, s));
        Assert.Single(_oidc.LogEntries);
    }

    [Fact]
    public async Task IssuerSlow_DeadlineOfTheRequestCounts()
    {
        _oidc.Given(Request.Create()).RespondWith(Response.Create().WithBody(TestIssuer.Set(_first)).WithDelay(3000));
        Require(Remote());

        var (status, _, head) = await _app.GetAsync("/admin", Cancel, more: $"request-timeout: 0.2\r\nAuthorization: Bearer {_first.Token(Soon)}\r\n");

        Assert.Equal(504, status);
        Assert.Contains("mesh-error: DeadlineExceeded", head, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task PrivateIssuer_NotAllowed_IsNotAsked()
    {
        await using var app = await GuardedApp.StartAsync(_ca, filter: null, o => o.Jwks.AllowHttp = true);
        Publish(_first);
        Require(Remote(), app: app);

        Assert.Equal(401, await StatusAsync(app, _first.Token(Soon)));
        Assert.Empty(_oidc.LogEntries);
        Assert.Contains(app.Logs, r => r.Message.Contains("Mesh:Jwks:AllowedNetworks", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Verified_IsRememberedUntilItEnds()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var app = await RemoteAsync(time);
        Require(Provider, app: app);
        var token = _first.Token(time.GetUtcNow().AddSeconds(30));

        Assert.Equal(200, await StatusAsync(app, token));
        time.Advance(TimeSpan.FromSeconds(85));
        Assert.Equal(200, await StatusAsync(app, token));
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(401, await StatusAsync(app, token));
    }

    [Fact]
    public async Task ConnectionHeader_DoesNotDeleteWhatWasVerified()
    {
        Require(Provider with { ClaimHeaders = [new("x-mesh-claim-sub", "sub")] });

        var (status, seen, _) = await _app.RawAsync($"GET /admin HTTP/1.1\r\nHost: cart\r\nConnection: close, x-mesh-claim-sub, authorization\r\nAuthorization: Bearer {_first.Token(Soon)}\r\n\r\n", Cancel);

        Assert.Equal((200, "ada"), (status, seen!.Headers["x-mesh-claim-sub"]));
    }

    private static JwtKeys.Inline Inline(TestIssuer issuer) =>
        JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(TestIssuer.Set(issuer)), out var set, out var problem) ? new JwtKeys.Inline(set) : throw new InvalidOperationException(problem);

    private Task<GuardedApp> RemoteAsync(FakeTimeProvider time) => GuardedApp.StartAsync(
        _ca,
        filter: null,
        o =>
        {
            o.Jwks.AllowHttp = true;
            o.Jwks.AllowedNetworks.Add("127.0.0.0/8");
            o.Jwks.AllowedNetworks.Add("::1");
        },
        services: services => services.AddSingleton<TimeProvider>(time));

    private JwtProvider Remote() => new("p", Issuer, [], new JwtKeys.Remote(new Uri(_oidc.Url! + "/keys"), null, TimeSpan.FromSeconds(5)));

    private void Require(JwtProvider provider, bool missing = false, GuardedApp? app = null) => Set(new JwtAuthentication([provider], [new(_all, new(["p"], missing, false))]), app);

    private void Set(JwtAuthentication filter, GuardedApp? app = null) => (app ?? _app).Publish(filter);

    private void Publish(params TestIssuer[] issuers)
    {
        _oidc.ResetMappings();
        _oidc.Given(Request.Create()).RespondWith(Response.Create().WithBody(TestIssuer.Set(issuers)));
    }

    private long Decided(string reason) => _decisions.GetMeasurementSnapshot().Where(m => Equals(m.Tags[MeshTags.Decision], "unauthenticated") && Equals(m.Tags[MeshTags.Reason], reason)).Sum(m => m.Value);

    private async Task<(int Status, GuardedApp.Seen? Seen)> GetAsync(string? token, string? version = null, params (string Name, string Value)[] headers)
    {
        using var client = _app.Client(version);
        using var request = Ask(_app, token, client);
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await client.SendAsync(request, Cancel);
        var body = await response.Content.ReadAsStringAsync(Cancel);
        return ((int)response.StatusCode, response.StatusCode == HttpStatusCode.OK ? GuardedApp.Seen.Parse(body) : null);
    }

    private static async Task<int> StatusAsync(GuardedApp app, string? token)
    {
        using var client = app.Client();
        using var request = Ask(app, token, client);
        using var response = await client.SendAsync(request, Cancel);
        return (int)response.StatusCode;
    }

    private static HttpRequestMessage Ask(GuardedApp app, string? token, HttpClient client)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, new Uri(app.Url, "/admin")) { Version = client.DefaultRequestVersion, VersionPolicy = client.DefaultVersionPolicy };
        if (token is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        }

        return request;
    }
}
