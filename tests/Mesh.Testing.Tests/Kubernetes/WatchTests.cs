using System.Net;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Testing.Tests.Kubernetes;

public sealed class WatchTests
{
    private const string Watch = "/api/v1/configmaps?watch=1";

    [Fact]
    public async Task Watch_WithInitialEvents_MarksTheirEnd()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        api.Apply(Map("a"));

        await using var watch = await client.WatchAsync($"{Watch}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
        var events = await watch.TakeAsync(2);

        Assert.Equal("ADDED", events[0].Text("type"));
        Assert.Equal("true", events[1].Text("object", "metadata", "annotations", "k8s.io/initial-events-end"));
        Assert.Equal("ConfigMap", events[1].Text("object", "kind"));
    }

    [Fact]
    public async Task Watch_FromAForgottenVersion_IsAnExpiredError()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        var version = api.ResourceVersion;
        api.Apply(Map("a"));
        api.Compact();

        await using var watch = await client.WatchAsync($"{Watch}&resourceVersion={version}");

        Assert.Equal(HttpStatusCode.OK, watch.Status);
        var error = (await watch.NextAsync())!;
        Assert.Equal("ERROR", error.Text("type"));
        Assert.Equal(410, error.At("object", "code").Long());
        Assert.Equal("Expired", error.Text("object", "reason"));
        Assert.Null(await watch.NextAsync());
    }

    [Fact]
    public async Task Watch_Deletion_CarriesTheVersionOfTheEnd()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        api.Apply(Map("a"));
        await using var watch = await client.WatchAsync($"{Watch}&resourceVersion={api.ResourceVersion}");

        api.Delete("configmaps", "shop", "a");

        var deleted = (await watch.NextAsync())!;
        Assert.Equal("DELETED", deleted.Text("type"));
        Assert.Equal(api.ResourceVersion, long.Parse(deleted.Text("object", "metadata", "resourceVersion"), System.Globalization.CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Watch_WithTimeout_EndsWithABookmark()
    {
        var time = new FakeTimeProvider();
        await using var api = await FakeKubeApi.StartAsync(new FakeKubeApiOptions { Time = time });
        using var client = api.Client();
        await using var watch = await client.WatchAsync($"{Watch}&allowWatchBookmarks=true&timeoutSeconds=30");
        var first = watch.NextAsync();

        // Its headers come before its clock runs.
        await Eventually.Async(
            () =>
            {
                if (!first.IsCompleted)
                {
                    time.Advance(TimeSpan.FromSeconds(31));
                }

                return first.IsCompleted;
            },
            "the watch ends");

        Assert.Equal("BOOKMARK", (await first)!.Text("type"));
        Assert.Null(await watch.NextAsync());
    }

    [Fact]
    public async Task Watch_WithBookmarks_SendsThemInTime()
    {
        var time = new FakeTimeProvider();
        await using var api = await FakeKubeApi.StartAsync(new FakeKubeApiOptions { Time = time });
        using var client = api.Client();
        await using var watch = await client.WatchAsync($"{Watch}&allowWatchBookmarks=true&resourceVersion={api.ResourceVersion}");
        api.Apply("{ apiVersion: v1, kind: Secret, metadata: { name: other, namespace: shop } }");
        api.Apply(Map("a"));
        Assert.Equal("ADDED", (await watch.NextAsync())!.Text("type"));
        api.Apply("{ apiVersion: v1, kind: Secret, metadata: { name: another, namespace: shop } }");

        time.Advance(TimeSpan.FromSeconds(61));

        Assert.Equal($"BOOKMARK {api.ResourceVersion}", (await watch.NextAsync()) is { } mark ? $"{mark.Text("type")} {mark.Text("object", "metadata", "resourceVersion")}" : "");
    }

    [Fact]
    public async Task Faults_CutStallAndCount()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        await using var cut = await client.WatchAsync($"{Watch}&resourceVersion={api.ResourceVersion}");
        var next = cut.NextAsync();
        api.Faults.CutWatches();
        Assert.Null(await next);

        api.Faults.CutWatchesAfter = 1;
        await using var counted = await client.WatchAsync($"{Watch}&resourceVersion={api.ResourceVersion}");
        api.Apply(Map("a"));
        api.Apply(Map("b"));
        Assert.Single(await counted.TakeAsync(2));

        api.Faults.Clear();
        api.Faults.StallWatches();
        await using var stalled = await client.WatchAsync($"{Watch}&resourceVersion={api.ResourceVersion}");
        api.Apply(Map("c"));
        var waiting = stalled.NextAsync();
        await using var other = await client.WatchAsync("/api/v1/namespaces?watch=1");
        Assert.False(waiting.IsCompleted);
        api.Faults.ResumeWatches();
        Assert.Equal("c", (await waiting)!.Text("object", "metadata", "name"));
        Assert.Equal(3, api.Log.Count("watch", "configmaps"));
    }

    [Fact]
    public async Task Faults_RefuseTheNextRequests()
    {
        await using var api = await FakeKubeApi.StartAsync();
        using var client = api.Client();
        api.Faults.Fail("/api/v1/configmaps", 429, retryAfter: 3);
        api.Faults.Fail("/api/v1/configmaps", 503, verb: "list");

        using var limited = await client.AskAsync("/api/v1/configmaps");
        var (broken, status) = await client.SendJsonAsync(HttpMethod.Get, "/api/v1/configmaps");
        using var well = await client.AskAsync("/api/v1/configmaps");

        Assert.Equal(HttpStatusCode.TooManyRequests, limited.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(3), limited.Headers.RetryAfter!.Delta);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, broken);
        Assert.Equal("ServiceUnavailable", status.Text("reason"));
        Assert.Equal(HttpStatusCode.OK, well.StatusCode);
        Assert.Equal([429, 503, 200], api.Log.All.Select(r => r.Status));
    }

    private static JsonObject Map(string name) => new() { ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = "shop" } };
}
