using System.Text.Json.Nodes;
using Grpc.Core;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.CertificateAuthority.Attestation;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.CertificateAuthority;

public sealed class AttestationTests
{
    private const string Cart = "spiffe://cluster.local/ns/shop/sa/cart";
    private const string CartUser = "system:serviceaccount:shop:cart";
    private const string Audience = "meshlib.io";
    private static readonly TrustDomain Domain = TrustDomain.Parse("cluster.local");
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);

    [Theory]
    [InlineData("good", nameof(AttestedKind.Good), "JWT of")]
    [InlineData("expired", nameof(AttestedKind.Refused), "has expired")]
    [InlineData("not yet", nameof(AttestedKind.Refused), "not valid yet")]
    [InlineData("endless", nameof(AttestedKind.Refused), "expire")]
    [InlineData("audience", nameof(AttestedKind.Refused), "not meant for 'meshlib.io'")]
    [InlineData("issuer", nameof(AttestedKind.NotMine), "not of")]
    [InlineData("none", nameof(AttestedKind.Refused), "signed with 'none'")]
    [InlineData("hmac", nameof(AttestedKind.Refused), "signed with 'HS256'")]
    [InlineData("unknown key", nameof(AttestedKind.Refused), "does not publish")]
    [InlineData("changed", nameof(AttestedKind.Refused), "signature was not made by")]
    [InlineData("other subject", nameof(AttestedKind.Refused), "is no service account")]
    [InlineData("slashes", nameof(AttestedKind.Refused), "is no service account")]
    [InlineData("no JWT", nameof(AttestedKind.NotMine), "no JWT")]
    [InlineData("rubbish", nameof(AttestedKind.NotMine), "no JWT")]
    public async Task Oidc_EachToken_WithItsReason(string token, string kind, string why)
    {
        await using var issuer = await FakeOidcIssuer.StartAsync();
        using var keys = Keys(issuer);
        var attestor = new OidcAttestor(issuer.Url, Audience, null, keys, Domain, _time);
        var now = _time.GetUtcNow();
        var text = token switch
        {
            "expired" => issuer.Token(CartUser, Audience, now.AddMinutes(-11)),
            "not yet" => issuer.Token(CartUser, Audience, now.AddMinutes(2)),
            "endless" => issuer.Token(CartUser, Audience, now, (_, c) => c.Remove("exp")),
            "audience" => issuer.Token(CartUser, "somebody else", now),
            "issuer" => issuer.Token(CartUser, Audience, now, (_, c) => c["iss"] = "https://evil.example"),
            "none" => issuer.Token(CartUser, Audience, now, (h, _) => h["alg"] = "none"),
            "hmac" => issuer.HmacToken(CartUser, Audience, now),
            "unknown key" => issuer.Token(CartUser, Audience, now, (h, _) => h["kid"] = "made up"),
            "changed" => Changed(issuer.Token(CartUser, Audience, now)),
            "other subject" => issuer.Token("jane", Audience, now),
            "slashes" => issuer.Token("system:serviceaccount:shop:cart/sa/root", Audience, now),
            "no JWT" => "opaque",
            "rubbish" => "a.b.c",
            _ => issuer.Token(CartUser, Audience, now),
        };

        var found = await attestor.AttestAsync(text, TestContext.Current.CancellationToken);

        Assert.Equal((kind, kind == nameof(AttestedKind.Good) ? Cart : null), (found.Kind.ToString(), found.Id?.ToString()));
        Assert.Contains(why, found.Detail, StringComparison.Ordinal);
        Assert.DoesNotContain(text, found.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ns/{team}/sa/{sub}", "spiffe://cluster.local/ns/red/sa/jane")]
    [InlineData("ns/ci/sa/{sub}", "spiffe://cluster.local/ns/ci/sa/jane")]
    [InlineData("ns/{kubernetes.io.namespace}/sa/{kubernetes.io.serviceaccount.name}", "spiffe://cluster.local/ns/shop/sa/web")]
    [InlineData("ns/{team}/sa/{missing}", null)]
    [InlineData("ns/{team}/sa/{number}", null)]
    [InlineData("ns/{team}/sa/{path}", null)]
    [InlineData("ns/{team}/sa/{dots}", null)]
    public async Task Oidc_Template_MakesTheIdentityOfClaims(string template, string? id)
    {
        await using var issuer = await FakeOidcIssuer.StartAsync();
        using var keys = Keys(issuer);
        Assert.True(IdentityTemplate.TryParse(template, out var parsed, out _));
        var token = issuer.Token("jane", Audience, _time.GetUtcNow(), (_, c) =>
        {
            (c["team"], c["number"], c["path"], c["dots"]) = ("red", 7, "a/sa/b", "..");
            c["kubernetes.io"] = new JsonObject { ["namespace"] = "shop", ["serviceaccount"] = new JsonObject { ["name"] = "web" } };
        });

        var found = await new OidcAttestor(issuer.Url, Audience, parsed, keys, Domain, _time).AttestAsync(token, TestContext.Current.CancellationToken);

        Assert.Equal(id, found.Id?.ToString());
        Assert.Equal(id is null ? AttestedKind.Refused : AttestedKind.Good, found.Kind);
    }

    [Theory]
    [InlineData("ns/a/sa/b")]
    [InlineData("{sub}")]
    [InlineData("ns/{a}/sa/{b}/more")]
    [InlineData("ns/{a/sa/{b}")]
    [InlineData("ns/x{a}/sa/{b}")]
    [InlineData("ns/{}/sa/{b}")]
    public void Oidc_BadTemplate_IsRefused(string template) => Assert.False(IdentityTemplate.TryParse(template, out _, out _));

    [Fact]
    public async Task Jwks_NewKey_IsFetchedWhenATokenNamesIt_AtMostEvery30Seconds()
    {
        await using var issuer = await FakeOidcIssuer.StartAsync();
        using var keys = Keys(issuer);
        var attestor = new OidcAttestor(issuer.Url, Audience, null, keys, Domain, _time);
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(AttestedKind.Good, (await AskAsync(issuer.Token(CartUser, Audience, _time.GetUtcNow()))).Kind);
        }

        Assert.Equal(1, issuer.Fetches);
        issuer.AddKey("k2");
        var newer = issuer.Token(CartUser, Audience, _time.GetUtcNow());
        Assert.Equal(AttestedKind.Refused, (await AskAsync(newer)).Kind);
        Assert.Equal(1, issuer.Fetches);
        _time.Advance(JwksStore.Pause);
        Assert.Equal(AttestedKind.Good, (await AskAsync(newer)).Kind);
        Assert.Equal(2, issuer.Fetches);

        // A thousand made-up keys cost one question each half minute.
        _time.Advance(JwksStore.Pause);
        var forged = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => AskAsync(issuer.Token(CartUser, Audience, _time.GetUtcNow(), (h, _) => h["kid"] = $"x{i}"))));
        Assert.All(forged, f => Assert.Equal(AttestedKind.Refused, f.Kind));
        Assert.Equal(3, issuer.Fetches);

        async Task<Attested> AskAsync(string token) => await attestor.AttestAsync(token, TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData("500")]
    [InlineData("redirect")]
    [InlineData("huge")]
    [InlineData("rubbish")]
    [InlineData("no keys")]
    [InlineData("secrets")]
    public async Task Jwks_NotToBeHad_FailsClosed_AndKeepsTheLastGood(string how)
    {
        await using var issuer = await FakeOidcIssuer.StartAsync();
        await using var elsewhere = await FakeOidcIssuer.StartAsync();
        Func<HttpContext, Task> instead = how switch
        {
            "500" => c => Answer(c, 500, ""),
            "redirect" => c =>
            {
                c.Response.Redirect($"{elsewhere.Url}/jwks");
                return Task.CompletedTask;
            },
            "huge" => c => Answer(c, 200, new string(' ', PrivateHttp.MaxAnswer + 1)),
            "rubbish" => c => Answer(c, 200, "<html>"),
            "no keys" => c => Answer(c, 200, """{"keys":[]}"""),
            _ => c => Answer(c, 200, """{"keys":[{"kty":"oct","kid":"k1","k":"c2VjcmV0"}]}"""),
        };
        issuer.Instead = instead;
        using var keys = Keys(issuer);
        var attestor = new OidcAttestor(issuer.Url, Audience, null, keys, Domain, _time);
        var token = issuer.Token(CartUser, Audience, _time.GetUtcNow());
        Assert.Equal(AttestedKind.Unavailable, (await attestor.AttestAsync(token, TestContext.Current.CancellationToken)).Kind);
        Assert.Equal(0, elsewhere.Fetches);

        issuer.Instead = null;
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(AttestedKind.Good, (await attestor.AttestAsync(token, TestContext.Current.CancellationToken)).Kind);

        issuer.Instead = instead;
        _time.Advance(TimeSpan.FromHours(2));
        Assert.Equal(AttestedKind.Good, (await attestor.AttestAsync(issuer.Token(CartUser, Audience, _time.GetUtcNow()), TestContext.Current.CancellationToken)).Kind);
        static Task Answer(HttpContext context, int status, string body)
        {
            context.Response.StatusCode = status;
            return context.Response.WriteAsync(body);
        }
    }

    [Fact]
    public async Task Jwks_DiscoveryOfAnotherIssuer_IsNotTaken()
    {
        await using var issuer = await FakeOidcIssuer.StartAsync();
        issuer.CallsItself = "https://evil.example";
        using var keys = Keys(issuer);
        Assert.Null(await keys.FindAsync("k1", TestContext.Current.CancellationToken));
        Assert.Equal(0, issuer.Fetches);
    }

    [Theory]
    [InlineData("good", nameof(AttestedKind.Good), "Kubernetes pod cart-7d9f (5e6e)")]
    [InlineData("unknown", nameof(AttestedKind.Refused), "token lookup failed")]
    [InlineData("audience", nameof(AttestedKind.Refused), "not bound to the audience 'meshlib.io'")]
    [InlineData("no audience", nameof(AttestedKind.Refused), "not bound to the audience 'meshlib.io'")]
    [InlineData("user", nameof(AttestedKind.Refused), "is no service account")]
    [InlineData("opaque", nameof(AttestedKind.NotMine), "no service account token")]
    public async Task TokenReview_EachAnswer_WithItsReason(string token, string kind, string why)
    {
        await using var kubernetes = await FakeTokenReview.StartAsync();
        kubernetes.Tokens["h.good.s"] = FakeTokenReview.Pod(CartUser, Audience);
        kubernetes.Tokens["h.audience.s"] = FakeTokenReview.Pod(CartUser, "https://kubernetes.default.svc");
        kubernetes.Tokens["h.no audience.s"] = $$"""{"authenticated":true,"user":{"username":"{{CartUser}}" } }""";
        kubernetes.Tokens["h.user.s"] = FakeTokenReview.Pod("jane", Audience);
        using var attestor = Review(kubernetes);

        var found = await attestor.AttestAsync(token == "opaque" ? "opaque" : $"h.{token}.s", TestContext.Current.CancellationToken);

        Assert.Equal((kind, kind == nameof(AttestedKind.Good) ? Cart : null), (found.Kind.ToString(), found.Id?.ToString()));
        Assert.Contains(why, found.Detail, StringComparison.Ordinal);
        Assert.Equal(token == "opaque" ? [] : [Audience], kubernetes.AskedAudiences);
    }

    [Theory]
    [InlineData(500, "")]
    [InlineData(403, "")]
    [InlineData(302, "")]
    [InlineData(201, "<html>")]
    [InlineData(201, "{}")]
    public async Task TokenReview_ServerInTrouble_IsUnavailable(int status, string body)
    {
        await using var kubernetes = await FakeTokenReview.StartAsync();
        kubernetes.Instead = (status, body);
        using var attestor = Review(kubernetes);
        Assert.Equal(AttestedKind.Unavailable, (await attestor.AttestAsync("a.b.c", TestContext.Current.CancellationToken)).Kind);
    }

    [Fact]
    public async Task TokenReview_OwnToken_IsReadAtEveryCall()
    {
        await using var kubernetes = await FakeTokenReview.StartAsync();
        kubernetes.Tokens["h.good.s"] = FakeTokenReview.Pod(CartUser, Audience);
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "old\n", TestContext.Current.CancellationToken);
        kubernetes.Bearer = "new";
        using var attestor = Review(kubernetes, file);
        Assert.Equal(AttestedKind.Unavailable, (await attestor.AttestAsync("h.good.s", TestContext.Current.CancellationToken)).Kind);
        await File.WriteAllTextAsync(file, "new\n", TestContext.Current.CancellationToken);
        Assert.Equal(AttestedKind.Good, (await attestor.AttestAsync("h.good.s", TestContext.Current.CancellationToken)).Kind);
        File.Delete(file);
    }

    [Fact]
    public async Task Csr_ByEachKindOfToken_CertifiesTheAttestedIdentityOnly_AndTokensAreNotLogged()
    {
        await using var issuer = await FakeOidcIssuer.StartAsync();
        await using var kubernetes = await FakeTokenReview.StartAsync();
        await using var controlPlane = await TestControlPlane.StartAsync(configure: o =>
        {
            (o.OidcIssuer, o.OidcAudience, o.OidcJwks) = (issuer.Url, Audience, $"{issuer.Url}/jwks");
            o.TokenReview = kubernetes.Url;
        });
        kubernetes.Tokens["pod.cart.x"] = FakeTokenReview.Pod(CartUser, Audience);
        kubernetes.Tokens["pod.web.x"] = FakeTokenReview.Pod("system:serviceaccount:shop:web", Audience);
        using var channel = controlPlane.TlsChannel();
        var (jwt, used) = (issuer.Token(CartUser, Audience, DateTimeOffset.UtcNow), controlPlane.Token("shop", "cart"));
        string[] good = [jwt, "pod.cart.x", used];
        foreach (var token in good)
        {
            using var leaf = await Csr.CreateAsync(channel, Csr.For(Cart), token);
            Assert.True(SpiffeCertificate.TryReadId(leaf, out var id, out _));
            Assert.Equal(Cart, id.ToString());
        }

        Assert.Equal(["join token", "Kubernetes pod cart-7d9f (5e6e)", $"JWT of {issuer.Url}"], controlPlane.Services.GetRequiredService<IssuanceLog>().Newest.Select(i => i.Attested));
        (string Token, StatusCode Code, string Why)[] bad =
        [
            (used, StatusCode.Unauthenticated, "was used"),
            ("pod.web.x", StatusCode.PermissionDenied, "attested is 'URI:spiffe://cluster.local/ns/shop/sa/web'"),
            (issuer.Token("system:serviceaccount:shop:web", Audience, DateTimeOffset.UtcNow), StatusCode.PermissionDenied, "attested is"),
            (issuer.Token(CartUser, Audience, DateTimeOffset.UtcNow.AddHours(-1)), StatusCode.Unauthenticated, "has expired"),
            (issuer.Token(CartUser, "other", DateTimeOffset.UtcNow), StatusCode.Unauthenticated, "not meant for"),
            ("pod.stolen.x", StatusCode.Unauthenticated, "token lookup failed"),
            ("opaque-and-unknown", StatusCode.Unauthenticated, "unknown here"),
        ];
        foreach (var (token, code, why) in bad)
        {
            var refused = await Assert.ThrowsAsync<RpcException>(() => Csr.SendAsync(channel, Csr.For(Cart).Pem, token));
            Assert.Equal(code, refused.StatusCode);
            Assert.Contains(why, refused.Status.Detail, StringComparison.Ordinal);
        }

        kubernetes.Instead = (500, "");
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => Csr.SendAsync(channel, Csr.For(Cart).Pem, "pod.cart.x"))).StatusCode);
        Assert.Equal(bad.Length + 1, controlPlane.Services.GetRequiredService<IssuanceLog>().Refused);
        Assert.DoesNotContain(
            controlPlane.Logs.GetSnapshot(), l => good.Concat(bad.Select(b => b.Token)).Any(t => $"{l.Message} {l.Exception}".Contains(t, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Csr_Refused_CountsAgainstTheWorkload()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();
        var token = controlPlane.Token("shop", "cart");
        var codes = new List<StatusCode>();
        for (var i = 0; i < IssuanceRate.PerMinute + 5; i++)
        {
            codes.Add((await Assert.ThrowsAsync<RpcException>(() => Csr.SendAsync(channel, "no CSR", token))).StatusCode);
        }

        Assert.Equal(StatusCode.InvalidArgument, codes[0]);
        Assert.Equal(StatusCode.ResourceExhausted, codes[^1]);
        Assert.InRange(codes.Count(c => c == StatusCode.InvalidArgument), IssuanceRate.PerMinute, IssuanceRate.PerMinute + 4);
        using var other = await controlPlane.JoinAsync("shop", "web");
    }

    [Theory]
    [InlineData("https://issuer.example", null, null, null, null, "--oidc-audience")]
    [InlineData("http://issuer.example", "a", null, null, null, "no https URL")]
    [InlineData(null, null, "https://x.example", null, null, "--oidc-issuer")]
    [InlineData("https://issuer.example", "a", "/no/such/file", null, null, "neither an https URL")]
    [InlineData("https://issuer.example", "a", null, "{sub}", null, "--oidc-identity")]
    [InlineData(null, null, null, null, "http://kubernetes.example", "--token-review")]
    public void Options_Wrong_SayWhich(string? issuer, string? audience, string? jwks, string? identity, string? review, string why)
    {
        var options = new MeshControlPlaneOptions { OidcIssuer = issuer, OidcAudience = audience, OidcJwks = jwks, OidcIdentity = identity, TokenReview = review };
        Assert.Contains(why, Assert.Single(AttestorFactory.Problems(options)), StringComparison.Ordinal);
    }

    private static string Changed(string token)
    {
        var parts = token.Split('.');
        var claims = JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(parts[1]))!;
        claims["sub"] = "system:serviceaccount:shop:root";
        return $"{parts[0]}.{System.Buffers.Text.Base64Url.EncodeToString(System.Text.Encoding.UTF8.GetBytes(claims.ToJsonString()))}.{parts[2]}";
    }

    private static TokenReviewAttestor Review(FakeTokenReview kubernetes, string? tokenFile = null) =>
        new(new HttpTokenReviews(new Uri(kubernetes.Url), tokenFile, PrivateHttp.Create(null)), Audience, ofPods: false, Domain, NullLogger<TokenReviewAttestor>.Instance);

    private JwksStore Keys(FakeOidcIssuer issuer) => new(issuer.Url, null, PrivateHttp.Create(null), _time, new FakeLogger<JwksStore>());
}
