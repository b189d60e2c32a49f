using System.Net;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Testing.Tests.Kubernetes;

public sealed class RbacTests
{
    private const string Rules = """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata: { name: reader }
        rules:
        - { apiGroups: [""], resources: [pods], verbs: [get, list] }
        - { apiGroups: [""], resources: [pods/status], verbs: [patch] }
        - { apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [mine], verbs: [get, update] }
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata: { name: reader }
        roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader }
        subjects: [{ kind: ServiceAccount, name: sa, namespace: shop }]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata: { name: writer, namespace: shop }
        rules: [{ apiGroups: [""], resources: [configmaps], verbs: ["*"] }]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata: { name: writer, namespace: shop }
        roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: writer }
        subjects: [{ kind: ServiceAccount, name: sa }]
        """;

    [Theory]
    [InlineData("GET", "/api/v1/pods", 200)]
    [InlineData("GET", "/api/v1/namespaces/shop/pods?watch=1&timeoutSeconds=1", 403)]
    [InlineData("DELETE", "/api/v1/namespaces/shop/pods/x", 403)]
    [InlineData("GET", "/api/v1/namespaces/shop/configmaps", 200)]
    [InlineData("GET", "/api/v1/namespaces/default/configmaps", 403)]
    [InlineData("GET", "/apis/coordination.k8s.io/v1/namespaces/shop/leases/mine", 404)]
    [InlineData("GET", "/apis/coordination.k8s.io/v1/namespaces/shop/leases/other", 403)]
    [InlineData("GET", "/apis/coordination.k8s.io/v1/namespaces/shop/leases", 403)]
    [InlineData("GET", "/apis", 200)]
    [InlineData("GET", "/metrics", 403)]
    public async Task ServiceAccount_MayWhatItsRolesSay(string method, string path, int expected)
    {
        await using var api = await FakeKubeApi.StartAsync(new FakeKubeApiOptions { Authorize = true });
        api.Apply(Rules);
        using var client = api.Client(api.IssueToken("shop", "sa"));

        using var answer = await client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        Assert.Equal(expected, (int)answer.StatusCode);
    }

    [Fact]
    public async Task Refusal_ReadsAsTheRealOne()
    {
        await using var api = await FakeKubeApi.StartAsync(new FakeKubeApiOptions { Authorize = true });
        using var client = api.Client(api.IssueToken("shop", "sa"));

        var (_, list) = await client.SendJsonAsync(HttpMethod.Get, "/apis/apps/v1/deployments");
        var (_, get) = await client.SendJsonAsync(HttpMethod.Get, "/api/v1/namespaces/shop/secrets/s");

        Assert.Equal("""{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"deployments.apps is forbidden: User \"system:serviceaccount:shop:sa\" cannot list resource \"deployments\" in API group \"apps\" at the cluster scope","reason":"Forbidden","details":{"group":"apps","kind":"deployments"},"code":403}""", list.Compact());
        Assert.Equal("secrets \"s\" is forbidden: User \"system:serviceaccount:shop:sa\" cannot get resource \"secrets\" in API group \"\" in the namespace \"shop\"", get.Text("message"));
    }

    [Fact]
    public async Task Reviews_AnswerByTheSameRules()
    {
        await using var api = await FakeKubeApi.StartAsync(new FakeKubeApiOptions { Authorize = true });
        api.Apply(Rules);
        using var client = api.Client(api.IssueToken("shop", "sa"));

        Assert.True(await AllowedAsync("list", "pods", ""));
        Assert.False(await AllowedAsync("list", "secrets", ""));
        Assert.True(await AllowedAsync("create", "configmaps", "shop"));

        var (_, self) = await client.SendJsonAsync(HttpMethod.Post, "/apis/authentication.k8s.io/v1/selfsubjectreviews", new JsonObject { ["apiVersion"] = "authentication.k8s.io/v1", ["kind"] = "SelfSubjectReview" });
        Assert.Equal("system:serviceaccount:shop:sa", self.Text("status", "userInfo", "username"));

        async Task<bool> AllowedAsync(string verb, string resource, string ns)
        {
            var review = new JsonObject
            {
                ["apiVersion"] = "authorization.k8s.io/v1",
                ["kind"] = "SelfSubjectAccessReview",
                ["spec"] = new JsonObject { ["resourceAttributes"] = new JsonObject { ["verb"] = verb, ["resource"] = resource, ["namespace"] = ns } },
            };
            var (status, json) = await client.SendJsonAsync(HttpMethod.Post, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review);
            Assert.Equal(HttpStatusCode.Created, status);
            return json["status"]!["allowed"]!.GetValue<bool>();
        }
    }

    [Fact]
    public async Task TokenReview_KnowsPodAudienceAndEnd()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UnixEpoch.AddYears(60));
        await using var api = await FakeKubeApi.StartAsync(new FakeKubeApiOptions { Time = time });
        using var client = api.Client();
        api.Apply("""
            apiVersion: v1
            kind: Pod
            metadata: { name: cart-1, namespace: shop }
            spec: { nodeName: node-a, containers: [{ name: c, image: "c:1" }] }
            """);
        var token = api.IssueToken("shop", "cart", "cart-1", "meshlib.io");

        var good = await ReviewAsync(token, "meshlib.io");
        Assert.True(good["authenticated"]!.GetValue<bool>());
        Assert.Equal("system:serviceaccount:shop:cart", good.Text("user", "username"));
        Assert.Equal(["cart-1"], good.Texts("user", "extra", "authentication.kubernetes.io/pod-name"));
        Assert.Equal([api.Get("pods", "shop", "cart-1").Text("metadata", "uid")], good.Texts("user", "extra", "authentication.kubernetes.io/pod-uid"));
        Assert.Equal(["meshlib.io"], good.Texts("audiences"));

        Assert.Contains("is invalid for the target audiences", (await ReviewAsync(token, "other")).Text("error"), StringComparison.Ordinal);
        Assert.Equal("invalid bearer token", (await ReviewAsync(token + "x", "meshlib.io")).Text("error"));
        time.Advance(TimeSpan.FromHours(2));
        Assert.Contains("expired", (await ReviewAsync(token, "meshlib.io")).Text("error"), StringComparison.Ordinal);

        var bound = api.IssueToken("shop", "cart", "cart-1", "meshlib.io");
        api.Delete("pods", "shop", "cart-1");
        Assert.Contains("invalidated", (await ReviewAsync(bound, "meshlib.io")).Text("error"), StringComparison.Ordinal);

        async Task<JsonNode> ReviewAsync(string shown, string audience)
        {
            var review = new JsonObject { ["apiVersion"] = "authentication.k8s.io/v1", ["kind"] = "TokenReview", ["spec"] = new JsonObject { ["token"] = shown, ["audiences"] = new JsonArray(audience) } };
            var (_, json) = await client.SendJsonAsync(HttpMethod.Post, "/apis/authentication.k8s.io/v1/tokenreviews", review);
            return json["status"]!;
        }
    }

    [Fact]
    public async Task Strangers_AreUnauthorized()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client("nonsense");

        var (status, refused) = await client.SendJsonAsync(HttpMethod.Get, "/api/v1/pods");
        using var health = await client.GetAsync("/readyz");

        Assert.Equal(HttpStatusCode.Unauthorized, status);
        Assert.Equal("Unauthorized", refused.Text("reason"));
        Assert.Equal("ok", await health.Content.ReadAsStringAsync());
    }
}
