using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes;
using Xunit;

namespace Mesh.Testing.Tests.Kubernetes;

/// <summary>Raw exchanges, compared with what the Kubernetes API documentation says of them.</summary>
public sealed class FakeKubeApiTests
{
    private const string Maps = "/api/v1/namespaces/default/configmaps";

    [Fact]
    public async Task Create_Twice_IsAlreadyExists()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();

        var (first, made) = await client.SendJsonAsync(HttpMethod.Post, Maps, Map("a"));
        var (second, refused) = await client.SendJsonAsync(HttpMethod.Post, Maps, Map("a"));

        Assert.Equal(HttpStatusCode.Created, first);
        Assert.NotEqual("", made.Text("metadata", "uid"));
        Assert.Equal(HttpStatusCode.Conflict, second);
        Assert.Equal("""{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"a\" already exists","reason":"AlreadyExists","details":{"name":"a","kind":"configmaps"},"code":409}""", refused.Compact());
    }

    [Fact]
    public async Task Update_OfAnOldVersion_IsAConflict()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        var (_, made) = await client.SendJsonAsync(HttpMethod.Post, Maps, Map("a"));
        var newer = made.Copy();
        newer["data"] = new JsonObject { ["k"] = "1" };
        await client.SendJsonAsync(HttpMethod.Put, $"{Maps}/a", newer);

        made["data"] = new JsonObject { ["k"] = "2" };
        var (status, refused) = await client.SendJsonAsync(HttpMethod.Put, $"{Maps}/a", made);

        Assert.Equal(HttpStatusCode.Conflict, status);
        Assert.Equal("Conflict", refused.Text("reason"));
        Assert.Equal("1", api.Get("configmaps", "default", "a").Text("data", "k"));
    }

    [Fact]
    public async Task Watch_FromAList_SeesWhatCameAfterIt()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        api.Apply("""
            apiVersion: v1
            kind: ConfigMap
            metadata: { name: a, namespace: shop, labels: { app: a } }
            data: { port: "80" }
            """);
        var list = (await client.GetFromJsonAsync<JsonObject>("/api/v1/configmaps?labelSelector=app%3Da"))!;
        await using var watch = await client.WatchAsync($"/api/v1/configmaps?watch=1&allowWatchBookmarks=true&labelSelector=app%3Da&resourceVersion={list.Text("metadata", "resourceVersion")}");

        api.Change("configmaps", "shop", "a", map => map.Map("data")["port"] = "81");
        api.Change("configmaps", "shop", "a", map => map.Meta().Map("labels")["app"] = "b");
        api.SendBookmarks();

        Assert.Equal(["MODIFIED 81", "DELETED 81", "BOOKMARK "], [.. (await watch.TakeAsync(3)).Select(e => $"{e.Text("type")} {e.Text("object", "data", "port")}")]);
    }

    private static JsonObject Map(string name) => new() { ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new JsonObject { ["name"] = name } };
}
