using System.Globalization;
using System.Text.Json;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.ControlPlane.Translation;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Mesh.ControlPlane.Tests.Api;

/// <summary>What becomes of a request that nobody makes: the verdict, the rule with its line, and what the nearest rules miss.</summary>
public sealed class RequestExplainTests
{
    private static readonly string Yaml = string.Join("\n---\n", Manifests.Service("catalog"), Manifests.Slice("catalog", "127.0.0.1"), Manifests.Service("storefront"), Manifests.Slice("storefront", "127.0.0.2"), """
        apiVersion: policy.meshlib.io/v1alpha1
        kind: AuthorizationPolicy
        metadata: {name: catalog, namespace: shop}
        spec:
          targetRefs: [{group: "", kind: Service, name: catalog}]
          rules:
          - name: readers
            action: Allow
            from: [{serviceAccounts: [storefront]}]
            to: [{methods: [GET], paths: [/items, "/items/*"]}]
          - name: staff
            action: Allow
            from: [{claims: [{name: realm.roles, values: [staff]}]}]
          - name: no-admin
            action: Deny
            to: [{paths: ["/admin/*"]}]
          - name: exports
            action: Audit
            to: [{paths: [/items/export]}]
        """, """
        apiVersion: policy.meshlib.io/v1alpha1
        kind: RequestAuthentication
        metadata: {name: users, namespace: shop}
        spec:
          targetRefs: [{group: "", kind: Service, name: catalog}]
          jwt: [{issuer: "https://login.example.com", jwks: '{"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}'}]
        """, """
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: old, namespace: shop}
        spec:
          parentRefs: [{group: "", kind: Service, name: catalog}]
          rules:
          - name: gone
            matches: [{path: {type: PathPrefix, value: /v0}}]
            filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /items}}}]
          - name: rest
            backendRefs: [{name: catalog, port: 80}]
        """);

    private static readonly MeshModel Model = Manifests.Model(Yaml, "127.0.0.1:8080");

    [Theory]
    [InlineData("shop/storefront", "GET", "/items/7", true, "allow", "shop/catalog/readers")]
    [InlineData("spiffe://cluster.local/ns/shop/sa/storefront", "GET", "/items?page=2", true, "allow", "shop/catalog/readers")]
    [InlineData("shop/storefront", "DELETE", "/items/7", false, "default", null)]
    [InlineData("shop/cart", "GET", "/items/7", false, "default", null)]
    [InlineData("shop/storefront", "GET", "/ADMIN/users", false, "deny", "shop/catalog/no-admin")]
    [InlineData("shop/storefront", "GET", "/items/%2e%2e/admin/x", false, "deny", "shop/catalog/no-admin")]
    [InlineData("shop/storefront", "GET", "/items%2f7", false, "ambiguous", null)]
    [InlineData("outside", "GET", "/items/7", false, "default", null)]
    [InlineData("shop/cart&claim=realm.roles%3Dstaff", "POST", "/items", true, "allow", "shop/catalog/staff")]
    [InlineData("shop/cart&claim=realm.roles%3Dguest&claim=realm.roles%3Dstaff", "POST", "/items", true, "allow", "shop/catalog/staff")]
    [InlineData("shop/cart&claim=realm.roles%3Dguest", "POST", "/items", false, "default", null)]
    public void Verdict_IsThatOfTheDataPlane(string caller, string method, string path, bool allowed, string stage, string? rule)
    {
        using var answer = Ask(caller, method, path);
        var root = answer.RootElement;

        Assert.Equal(allowed, root.GetProperty("allowed").GetBoolean());
        var verdict = Assert.Single(root.GetProperty("verdicts").EnumerateArray());
        Assert.Equal((stage, rule), (verdict.GetProperty("stage").GetString(), verdict.GetProperty("rule").GetString()));
        if (rule is not null)
        {
            // The line of the rule, as an editor counts them.
            var line = Yaml.Split('\n').Index().Single(l => l.Item.Trim() == $"- name: {rule.Split('/')[2]}").Index + 1;
            Assert.Equal($"in.yaml:{line.ToString(CultureInfo.InvariantCulture)}", verdict.GetProperty("where").GetString());
        }
    }

    [Fact]
    public void Denied_NamesTheNearestRulesAndTheFirstConditionThatFailed()
    {
        using var answer = Ask("shop/storefront", "DELETE", "/items/7");

        var nearest = answer.RootElement.GetProperty("verdicts")[0].GetProperty("nearest").EnumerateArray().ToArray();
        Assert.Equal("shop/catalog/readers", nearest[0].GetProperty("rule").GetString());
        Assert.Contains("DELETE", nearest[0].GetProperty("failed").GetString(), StringComparison.Ordinal);
        Assert.Contains("GET", nearest[0].GetProperty("failed").GetString(), StringComparison.Ordinal);
        Assert.StartsWith("in.yaml:", nearest[0].GetProperty("where").GetString(), StringComparison.Ordinal);
        Assert.Contains(nearest, n => n.GetProperty("rule").GetString() == "shop/catalog/staff");
    }

    [Fact]
    public void Audit_IsToldBesideAndChangesNothing()
    {
        using var answer = Ask("shop/storefront", "GET", "/items/export");

        Assert.True(answer.RootElement.GetProperty("allowed").GetBoolean());
        Assert.Contains("denied by rule 'shop/catalog/exports'", answer.RootElement.GetProperty("verdicts")[0].GetProperty("audit").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Route_ThatAnswersItself_ReachesNobody()
    {
        using var answer = Ask("shop/storefront", "GET", "/v0/items");

        Assert.Equal(JsonValueKind.Null, answer.RootElement.GetProperty("allowed").ValueKind);
        Assert.Equal("shop/old/gone", answer.RootElement.GetProperty("routing").GetProperty("route").GetString());
        Assert.Contains("301", answer.RootElement.GetProperty("routing").GetProperty("action").GetString(), StringComparison.Ordinal);
        Assert.Empty(answer.RootElement.GetProperty("verdicts").EnumerateArray());
    }

    [Theory]
    [InlineData("service=catalog&method=GET&path=/", 400, "Give 'caller'")]
    [InlineData("caller=storefront&service=catalog&method=GET&path=/", 400, "namespace/serviceaccount")]
    [InlineData("caller=shop/a&service=catalogg&method=GET&path=/", 404, "Did you mean 'catalog'")]
    [InlineData("caller=shop/a&service=catalog&port=81&method=GET&path=/", 404, "has no port 81")]
    [InlineData("caller=shop/a&service=catalog&method=G%20T&path=/", 400, "Give an HTTP method")]
    [InlineData("caller=shop/a&service=catalog&method=GET&path=items", 400, "Start it with '/'")]
    [InlineData("caller=shop/a&service=catalog&method=GET&path=/&header=x", 400, "name: value")]
    [InlineData("caller=shop/a&service=catalog&method=GET&path=/&claim=x", 400, "name=value")]
    [InlineData("caller=shop/a&service=catalog&method=GET&path=/&claim=a%3D1&claim=a.b%3D2", 400, "has a value already")]
    [InlineData("caller=shop/a&service=catalog&method=GET&path=/&source=here", 400, "Give an IP address")]
    public async Task BadQuestion_IsAnsweredWithWhatIsWrong(string query, int status, string holds)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Source.Publish(Model);
        using var api = controlPlane.Api();
        using var response = await api.GetAsync($"/api/v1/explain/request?{query}", TestContext.Current.CancellationToken);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Contains(holds, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    /// <param name="caller">Claims follow it, as the query has them.</param>
    private static JsonDocument Ask(string caller, string method, string path)
    {
        var store = new ModelStore();
        store.Publish(Model);
        var parts = caller.Split("&claim=");
        var result = RequestExplain.Answer(
            store, new MeshControlPlaneOptions(), new ResourceTranslator(new TranslationOptions(Manifests.TrustDomain, "cluster.local")),
            parts[0], "catalog", null, null, method, path, null, [.. parts.Skip(1).Select(Uri.UnescapeDataString)], null);
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web);
        ApiJson.Configure(options);
        return JsonSerializer.SerializeToDocument(Assert.IsType<ExplainedRequest>(Assert.IsAssignableFrom<IValueHttpResult>(result).Value), options);
    }
}
