using System.Net;
using System.Text.Json.Nodes;
using Mesh.Testing;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>Tokens of a RequestAuthentication, with keys in the manifest and with keys that the issuer serves, decide by their claims.</summary>
public sealed class PolicyTokenTests : IAsyncLifetime
{
    private const string InlineIssuer = "https://issuer.test";
    private readonly TestIssuer _inline = new();
    private FakeOidcIssuer _served = null!;
    private PolicyMesh _mesh = null!;

    private static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    public async ValueTask InitializeAsync()
    {
        _served = await FakeOidcIssuer.StartAsync();
        _mesh = await PolicyMesh.StartAsync(
            [("inline-policy.yaml", Policy("inline", $"{{ issuer: \"{InlineIssuer}\", jwks: '{TestIssuer.Set(_inline)}' }}")),
             ("served-policy.yaml", Policy("served", $"{{ issuer: \"{_served.Url}\", audiences: [shop], jwksUri: \"{_served.Url}/jwks\" }}"))],
            ["inline", "served"],
            ["storefront"],
            settings =>
            {
                settings["Mesh:Jwks:AllowHttp"] = "true";
                settings["Mesh:Jwks:AllowedNetworks"] = "127.0.0.0/8";
            });
    }

    public async ValueTask DisposeAsync()
    {
        await _mesh.DisposeAsync();
        await _served.DisposeAsync();
        _inline.Dispose();
    }

    [Fact]
    public async Task Token_DecidesByItsClaims_AndABadOneIsRefusedAtOnce()
    {
        using var forger = new TestIssuer();
        await using var other = await FakeOidcIssuer.StartAsync();
        (string Service, string Staff, string Guest, string Banned, string Forged, string Over)[] issuers =
        [
            ("inline", Inline("staff"), Inline("guest"), Inline("staff", "banned"), forger.Token(Now.AddMinutes(5), InlineIssuer, Roles("staff")), _inline.Token(Now.AddMinutes(-5), InlineIssuer, Roles("staff"))),
            ("served", Served("staff"), Served("guest"), Served("staff", "banned"),
                other.Token("ada", "shop", Now, (_, c) => (c["iss"], c["roles"]) = (_served.Url, new JsonArray("staff"))),
                _served.Token("ada", "shop", Now.AddHours(-1), (_, c) => c["roles"] = new JsonArray("staff"))),
        ];
        foreach (var (service, staff, guest, banned, forged, over) in issuers)
        {
            var good = await AskAsync(service, staff);
            Assert.Equal((HttpStatusCode.OK, "ada", null), (good.Status, good.User, good.Policy));
            Assert.StartsWith("denied, because no rule allows it", Take(await AskAsync(service, null)).Policy, StringComparison.Ordinal);
            Assert.Equal($"denied by rule 'shop/{service}/banned'", Take(await AskAsync(service, banned)).Policy);
            Assert.StartsWith($"denied, because no rule allows it; nearest is rule shop/{service}/staff:", Take(await AskAsync(service, guest)).Policy, StringComparison.Ordinal);
            foreach (var bad in new[] { forged, over, "no-token", staff[..^3] })
            {
                Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync(service, bad)).Status);
            }

            // The same function decides for the operator.
            var path = $"/api/v1/explain/request?caller=shop/storefront&service={service}&namespace=shop&method=GET&path=/&claim=roles%3Dguest";
            Assert.Contains($"shop/{service}/staff", await _mesh.Mesh.Api.GetStringAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }

        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync("served", _served.Token("ada", "another", Now))).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync("inline", Served("staff"))).Status);
        Assert.InRange(_served.Fetches, 1, 2);
    }

    private static PolicyAnswer Take(PolicyAnswer answer)
    {
        Assert.Equal(HttpStatusCode.Forbidden, answer.Status);
        return answer;
    }

    private Task<PolicyAnswer> AskAsync(string service, string? token) =>
        _mesh.CallAsync("storefront", service, "GET", "/", token is null ? [] : [("authorization", $"Bearer {token}")]);

    private static string Roles(params string[] roles) => $",\"roles\":[{string.Join(',', roles.Select(r => $"\"{r}\""))}]";

    private string Inline(params string[] roles) => _inline.Token(Now.AddMinutes(5), InlineIssuer, Roles(roles));

    private string Served(params string[] roles) =>
        _served.Token("ada", "shop", Now, (_, claims) => claims["roles"] = new JsonArray([.. roles.Select(r => (JsonNode)r)]));

    private static string Policy(string service, string jwt) => $$"""
        apiVersion: policy.meshlib.io/v1alpha1
        kind: RequestAuthentication
        metadata: { name: {{service}}, namespace: shop }
        spec:
          targetRefs: [{ group: "", kind: Service, name: {{service}} }]
          jwt:
          - {{jwt}}
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: AuthorizationPolicy
        metadata: { name: {{service}}, namespace: shop }
        spec:
          targetRefs: [{ group: "", kind: Service, name: {{service}} }]
          rules:
          - { name: staff, action: Allow, from: [{ claims: [{ name: roles, values: [staff] }] }] }
          - { name: banned, action: Deny, from: [{ claims: [{ name: roles, values: [banned] }] }] }
        """;
}
