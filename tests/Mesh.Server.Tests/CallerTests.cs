using System.Net;
using System.Security.Claims;
using System.Text.Encodings.Web;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>The caller on HttpContext.User, beside the app's own authentication (ADR 5).</summary>
public sealed class CallerTests : IDisposable
{
    private readonly TestCa _ca = new("cluster.local");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Fact]
    public async Task PlainAuthorize_MeshPeerWithoutUser_IsRefused() => Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync("/users", null)).StatusCode);

    [Fact]
    public async Task PlainAuthorize_MeshPeerWithUser_IsServedAsTheUserAndTheFeatureKeepsTheCaller()
    {
        using var response = await GetAsync("/users", "ann");

        Assert.Equal("ann spiffe://cluster.local/ns/shop/sa/web", await response.Content.ReadAsStringAsync(Token));
    }

    [Fact]
    public async Task RequireClaim_TheNamedWorkload_IsServed() => Assert.Equal(HttpStatusCode.OK, (await GetAsync("/workload", null)).StatusCode);

    [Fact]
    public async Task RequireClaim_AnotherWorkload_IsRefused() => Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync("/workload", null, caller: "other")).StatusCode);

    private async Task<HttpResponseMessage> GetAsync(string path, string? user, string caller = "web")
    {
        await using var app = await MeshApp.StartAsync(
            _ca,
            routes: routes =>
            {
                routes.MapGet("/users", (HttpContext c) => $"{c.User.Identity!.Name} {c.Features.Get<MeshPeerFeature>()?.Id}").RequireAuthorization();
                routes.MapGet("/workload", () => "ok").RequireAuthorization(p => p.RequireClaim("spiffe_id", "spiffe://cluster.local/ns/shop/sa/web"));
            },
            services: services =>
            {
                services.AddAuthentication("header").AddScheme<AuthenticationSchemeOptions, HeaderAuthentication>("header", null);
                services.AddAuthorization();
            });
        using var client = MeshApp.MeshClient(_ca.Identity("shop", caller), SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart"), HttpVersion.Version20);
        if (user is not null)
        {
            client.DefaultRequestHeaders.Add("x-user", user);
        }

        return await client.GetAsync($"http://127.0.0.1:{app.Port}{path}", Token);
    }

    /// <summary>Stands for an app's own scheme: believes the header x-user.</summary>
    private sealed class HeaderAuthentication(IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder)
        : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
    {
        protected override Task<AuthenticateResult> HandleAuthenticateAsync() => Task.FromResult(
            Request.Headers["x-user"].ToString() is { Length: > 0 } name
                ? AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.Name, name)], "header")), "header"))
                : AuthenticateResult.NoResult());
    }
}
