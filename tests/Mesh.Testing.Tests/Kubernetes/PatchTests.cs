using System.Net;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes;
using Xunit;

namespace Mesh.Testing.Tests.Kubernetes;

public sealed class PatchTests
{
    private const string Path = "/apis/apps/v1/namespaces/shop/deployments/cart";
    private const string ApplyType = "application/apply-patch+yaml";

    [Fact]
    public async Task StrategicMerge_OfContainers_GoesByName()
    {
        await using var api = await StartAsync();
        using var client = api.Client();

        await PatchAsync(client, "application/strategic-merge-patch+json", """
            {"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"cart"},{"name":"new"}],
              "containers":[{"name":"cart","image":"cart:2"},{"name":"old","$patch":"delete"},{"name":"new","image":"n:1"}]} } } }
            """);

        Assert.Equal("cart=cart:2 new=n:1", Containers(api));
    }

    [Fact]
    public async Task MergePatch_OfAList_TakesItWhole()
    {
        await using var api = await StartAsync();
        using var client = api.Client();

        await PatchAsync(client, "application/merge-patch+json", """{"metadata":{"labels":null},"spec":{"template":{"spec":{"containers":[{"name":"only","image":"o:1"}]}}}}""");

        Assert.Equal("only=o:1", Containers(api));
        Assert.Null(api.Get("deployments.apps", "shop", "cart").At("metadata", "labels"));
    }

    [Fact]
    public async Task JsonPatch_WithAFailingTest_ChangesNothing()
    {
        await using var api = await StartAsync();
        using var client = api.Client();
        var before = api.ResourceVersion;

        var (status, refused) = await client.SendJsonAsync(HttpMethod.Patch, Path, JsonNode.Parse("""[{"op":"replace","path":"/spec/replicas","value":5},{"op":"test","path":"/metadata/labels/app","value":"x"}]"""), "application/json-patch+json");

        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Contains("testing value /metadata/labels/app failed", refused.Text("message"), StringComparison.Ordinal);
        Assert.Equal(before, api.ResourceVersion);
    }

    [Fact]
    public async Task Generation_CountsSpecAlone()
    {
        await using var api = await StartAsync();
        using var client = api.Client();

        var labelled = await PatchAsync(client, "application/merge-patch+json", """{"metadata":{"labels":{"a":"b"}},"status":{"replicas":9}}""");
        Assert.Equal(1, labelled.At("metadata", "generation").Long());
        Assert.Null(labelled.At("status", "replicas"));

        var scaled = await PatchAsync(client, "application/merge-patch+json", """{"spec":{"replicas":3}}""");
        Assert.Equal(2, scaled.At("metadata", "generation").Long());

        var (_, reported) = await client.SendJsonAsync(HttpMethod.Patch, Path + "/status", JsonNode.Parse("""{"spec":{"replicas":7},"status":{"replicas":3}}"""), "application/merge-patch+json");
        Assert.Equal(2, reported.At("metadata", "generation").Long());
        Assert.Equal(3, reported.At("spec", "replicas").Long());
        Assert.Equal(3, reported.At("status", "replicas").Long());
    }

    [Fact]
    public async Task Apply_WithoutAFieldOfBefore_TakesItBack()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        await ApplyAsync(client, "one", "data: { a: '1', b: '1' }");
        await ApplyAsync(client, "two", "data: { b: '1', c: '1' }");

        var left = await ApplyAsync(client, "one", "data: { a: '2' }");

        // b is wanted by the other still.
        Assert.Equal("""{"a":"2","b":"1","c":"1"}""", left["data"]!.Compact());
        Assert.Equal("""one Apply {"f:data":{"f:a":{}}} / two Apply {"f:data":{"f:b":{},"f:c":{}}}""", Owners(left));
    }

    [Fact]
    public async Task Apply_OfTheSame_WritesNothing()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        var first = await ApplyAsync(client, "one", "data: { a: '1' }");

        var second = await ApplyAsync(client, "one", "data: { a: '1' }");

        Assert.Equal(first.Compact(), second.Compact());
    }

    [Fact]
    public async Task Apply_OfAnothersField_IsAConflictWithCauses()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        await ApplyAsync(client, "one", "data: { a: '1', b: '1' }");
        await client.SendJsonAsync(HttpMethod.Patch, MapPath + "?fieldManager=editor", JsonNode.Parse("""{"data":{"b":"2"}}"""), "application/merge-patch+json");

        var (status, refused) = await SendApplyAsync(client, "two", "data: { a: '3', b: '2' }");
        Assert.Equal(HttpStatusCode.Conflict, status);
        Assert.Equal("Apply failed with 1 conflict: conflict with \"one\" using v1: .data.a", refused.Text("message"));
        Assert.Equal("""{"causes":[{"reason":"FieldManagerConflict","message":"conflict with \"one\" using v1","field":".data.a"}]}""", refused["details"]!.Compact());

        var forced = await ApplyAsync(client, "two", "data: { a: '3', b: '2' }", "&force=true");
        Assert.Equal("""editor Update {"f:data":{"f:b":{}}} / two Apply {"f:data":{"f:a":{},"f:b":{}}}""", Owners(forced));
    }

    [Fact]
    public async Task Apply_OfConditions_GoesByType()
    {
        await using var api = await StartAsync();
        using var client = api.Client();
        await StatusAsync("a", "A");
        var both = await StatusAsync("b", "B");
        Assert.Equal(["A", "B"], both.Items("status", "conditions").Select(c => c.Text("type")));

        var again = await StatusAsync("a", "C");
        Assert.Equal(["B", "C"], again.Items("status", "conditions").Select(c => c.Text("type")));

        async Task<JsonObject> StatusAsync(string manager, string type)
        {
            var body = $$"""{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"cart"},"status":{"conditions":[{"type":"{{type}}","status":"True"}]} }""";
            var (status, json) = await client.SendJsonAsync(HttpMethod.Patch, $"{Path}/status?fieldManager={manager}", JsonNode.Parse(body), ApplyType);
            return status == HttpStatusCode.OK ? json : throw new InvalidOperationException(json.Compact());
        }
    }

    [Fact]
    public async Task Apply_WithoutAManager_IsInvalid()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();

        var (status, refused) = await client.SendJsonAsync(HttpMethod.Patch, MapPath, new JsonObject(), ApplyType);

        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Equal("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch", refused.Text("message"));
    }

    [Fact]
    public async Task DryRun_ShowsWithoutWriting()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();

        var shown = await ApplyAsync(client, "one", "data: { a: '1' }", "&dryRun=All");

        Assert.Equal("1", shown.Text("data", "a"));
        Assert.Null(api.Find("configmaps", "default", "m"));
    }

    private const string MapPath = "/api/v1/namespaces/default/configmaps/m";

    private static async Task<FakeKubeApi> StartAsync()
    {
        var api = await FakeKubeApi.StartAsync();
        api.Apply("""
            apiVersion: apps/v1
            kind: Deployment
            metadata: { name: cart, namespace: shop, labels: { app: cart } }
            spec:
              selector: { matchLabels: { app: cart } }
              template:
                metadata: { labels: { app: cart } }
                spec: { containers: [{ name: cart, image: "cart:1" }, { name: old, image: "old:1" }] }
            """);
        return api;
    }

    private static string Containers(FakeKubeApi api) =>
        string.Join(' ', api.Get("deployments.apps", "shop", "cart").Items("spec", "template", "spec", "containers").Select(c => $"{c.Text("name")}={c.Text("image")}"));

    private static string Owners(JsonObject json) =>
        string.Join(" / ", json.Items("metadata", "managedFields").Select(e => $"{e.Text("manager")} {e.Text("operation")} {e!["fieldsV1"]!.Compact()}"));

    private static async Task<JsonObject> PatchAsync(HttpClient client, string type, string body)
    {
        var (status, json) = await client.SendJsonAsync(HttpMethod.Patch, Path, JsonNode.Parse(body), type);
        return status == HttpStatusCode.OK ? json : throw new InvalidOperationException(json.Compact());
    }

    private static async Task<JsonObject> ApplyAsync(HttpClient client, string manager, string data, string more = "")
    {
        var (status, json) = await SendApplyAsync(client, manager, data, more);
        return (int)status < 300 ? json : throw new InvalidOperationException(json.Compact());
    }

    private static Task<(HttpStatusCode Status, JsonObject Json)> SendApplyAsync(HttpClient client, string manager, string data, string more = "") =>
        client.SendJsonAsync(HttpMethod.Patch, $"{MapPath}?fieldManager={manager}{more}", KubeYaml.Documents($"apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: m }}\n{data}").Single(), ApplyType);
}
