using System.Net;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Testing.Tests.Kubernetes;

public sealed class ListTests
{
    private const string Maps = "/api/v1/namespaces/shop/configmaps";

    [Fact]
    public async Task List_InPages_ShowsTheWorldOfItsBeginning()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        Fill(api, 5);

        var first = await ListAsync(client, "?limit=2");
        api.Delete("configmaps", "shop", "m4");
        api.Apply(Map("m0a"));
        var second = await ListAsync(client, $"?limit=2&continue={first.Text("metadata", "continue")}");
        var third = await ListAsync(client, $"?limit=2&continue={second.Text("metadata", "continue")}");

        Assert.Equal("m0 m1 m2 m3 m4", string.Join(' ', first.Items("items").Concat(second.Items("items")).Concat(third.Items("items")).Select(i => i.Text("metadata", "name"))));
        Assert.Equal(3, first.At("metadata", "remainingItemCount").Long());
        Assert.Equal(first.Text("metadata", "resourceVersion"), third.Text("metadata", "resourceVersion"));
        Assert.Equal("", third.Text("metadata", "continue"));
    }

    [Fact]
    public async Task Continue_ThatHasExpired_IsGoneWithAWayOn()
    {
        var time = new FakeTimeProvider();
        await using var api = await FakeKubeApi.StartAsync(new FakeKubeApiOptions { Time = time });
        using var client = api.Client();
        Fill(api, 3);
        var first = await ListAsync(client, "?limit=1");
        time.Advance(TimeSpan.FromMinutes(6));

        var (status, gone) = await client.SendJsonAsync(HttpMethod.Get, $"{Maps}?limit=1&continue={first.Text("metadata", "continue")}");
        Assert.Equal(HttpStatusCode.Gone, status);
        Assert.Equal("Expired", gone.Text("reason"));

        var rest = await ListAsync(client, $"?continue={gone.Text("metadata", "continue")}");
        Assert.Equal("m1 m2", string.Join(' ', rest.Items("items").Select(i => i.Text("metadata", "name"))));
    }

    [Fact]
    public async Task List_AtAVersion_IsExactOrGoneOrTooLarge()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        Fill(api, 2);
        var version = api.ResourceVersion;
        api.Delete("configmaps", "shop", "m0");

        Assert.Equal(2, (await ListAsync(client, $"?resourceVersion={version}&resourceVersionMatch=Exact")).Items("items").Count());
        Assert.Single((await ListAsync(client, $"?resourceVersion={version}&resourceVersionMatch=NotOlderThan")).Items("items"));

        var (ahead, tooLarge) = await client.SendJsonAsync(HttpMethod.Get, $"{Maps}?resourceVersion={api.ResourceVersion + 10}");
        Assert.Equal(HttpStatusCode.GatewayTimeout, ahead);
        Assert.Equal("ResourceVersionTooLarge", tooLarge.Items("details", "causes").Single().Text("reason"));

        api.Compact();
        var (old, gone) = await client.SendJsonAsync(HttpMethod.Get, $"{Maps}?resourceVersion={version}&resourceVersionMatch=Exact");
        Assert.Equal(HttpStatusCode.Gone, old);
        Assert.Equal("Expired", gone.Text("reason"));
    }

    [Theory]
    [InlineData("labelSelector=app%3Da", "m0")]
    [InlineData("labelSelector=app", "m0 m1")]
    [InlineData("labelSelector=%21app", "m2")]
    [InlineData("labelSelector=app%20in%20%28b%2Cc%29", "m1")]
    [InlineData("labelSelector=app%20notin%20%28b%29%2Capp", "m0")]
    [InlineData("labelSelector=app%21%3Da", "m1 m2")]
    [InlineData("fieldSelector=metadata.name%3Dm2", "m2")]
    public async Task List_WithSelector_ShowsWhatMatches(string query, string names)
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        api.Apply(Map("m0", "a"));
        api.Apply(Map("m1", "b"));
        api.Apply(Map("m2"));

        Assert.Equal(names, string.Join(' ', (await ListAsync(client, "?" + query)).Items("items").Select(i => i.Text("metadata", "name"))));
    }

    [Fact]
    public async Task List_OfBuiltIns_LeavesKindToTheList()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        Fill(api, 1);

        var list = await ListAsync(client, "");

        Assert.Equal("ConfigMapList", list.Text("kind"));
        Assert.False(list.Items("items").Single()!.AsObject().ContainsKey("kind"));
    }

    [Fact]
    public async Task List_WithAnUnknownField_IsABadRequest()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();

        var (status, refused) = await client.SendJsonAsync(HttpMethod.Get, $"{Maps}?fieldSelector=data.k%3D1");

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("field label not supported: data.k", refused.Text("message"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task List_ThatMayBeStale_IsStaleWhenToldSo()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        Fill(api, 1);
        api.Faults.StaleListsAt = api.ResourceVersion;
        Fill(api, 2);

        Assert.Single((await ListAsync(client, "?resourceVersion=0")).Items("items"));
        Assert.Equal(2, (await ListAsync(client, "")).Items("items").Count());
    }

    private static void Fill(FakeKubeApi api, int count)
    {
        for (var i = 0; i < count; i++)
        {
            api.Apply(Map($"m{i}"));
        }
    }

    private static async Task<JsonObject> ListAsync(HttpClient client, string query)
    {
        var (status, json) = await client.SendJsonAsync(HttpMethod.Get, Maps + query);
        return status == HttpStatusCode.OK ? json : throw new InvalidOperationException(json.Compact());
    }

    private static JsonObject Map(string name, string? app = null)
    {
        var json = new JsonObject { ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = "shop" } };
        if (app is not null)
        {
            json.Meta()["labels"] = new JsonObject { ["app"] = app };
        }

        return json;
    }
}
