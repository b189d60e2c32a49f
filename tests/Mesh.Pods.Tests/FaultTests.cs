using System.Net;
using Mesh.Testing;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>Parts of the mesh that end or come back while an app calls fifty times a second.</summary>
[Collection(FaultPodsGroup.Name)]
public sealed class FaultTests(FaultPods pods)
{
    private static readonly TimeSpan _drain = TimeSpan.FromSeconds(25);

    [Fact]
    public async Task UpstreamPodKilled_TheOtherTakesAll()
    {
        await pods.BothAnswerAsync();
        var a = pods.Mesh["a"];
        await using var client = await SteadyClient.StartAsync(pods.Mesh["caller"], FaultPods.Url);

        await Task.WhenAll(MeshPod.KillAsync(a.Sidecar), MeshPod.KillAsync(a.App));
        await client.FlowAsync(100);
        var atKill = client.Failed();
        await client.FlowAsync(100);
        Assert.Equal(atKill, client.Failed());
        await ReviveAsync("a");

        var (count, failures) = await client.EndAsync();
        // GETs are asked again at the other pod when their connection breaks before an answer.
        Assert.True(failures.Count == 0, $"{failures.Count} of {count} failed: {string.Join('\n', failures)}\n{pods.Mesh.Said()}");
    }

    [Fact]
    public async Task ControlPlaneKilled_TrafficGoesOn_AndConfigurationAfterItsRestart()
    {
        await pods.BothAnswerAsync();
        await pods.EveryAddressAnswersAsync();
        await using var client = await SteadyClient.StartAsync(pods.Mesh["caller"], FaultPods.Url);

        await MeshPod.KillAsync(pods.Mesh.ControlPlane);
        await client.FlowAsync(100);
        await pods.Mesh.StartControlPlaneAsync();
        pods.Mesh.Write("second.yaml", Manifests.Service("second", 2, "store", [("http", FaultPods.Http)], pods.Mesh["a"]));
        try
        {
            await Eventually.Async(
                async () =>
                {
                    using var answer = await pods.Mesh["caller"].GetAsync(FaultPods.OtherUrl + "/new");
                    return answer.StatusCode == HttpStatusCode.OK;
                },
                "the caller learns of a Service that was added after the restart",
                PodMesh.StartLimit);
        }
        finally
        {
            pods.Mesh.Delete("second.yaml");
        }

        await client.FlowAsync(50);
        var (count, failures) = await client.EndAsync();
        Assert.True(failures.Count == 0, $"{failures.Count} of {count} failed: {string.Join('\n', failures)}\n{pods.Mesh.Said()}");
    }

    [Fact]
    public async Task OwnSidecarKilled_CallsFailUntilItIsBack()
    {
        var caller = pods.Mesh["caller"];
        await using var client = await SteadyClient.StartAsync(caller, FaultPods.Url);

        await MeshPod.KillAsync(caller.Sidecar);
        await client.FlowAsync(25);
        // Redirected to where nobody is: no call goes around the mesh.
        Assert.NotEqual(0, client.Failed());
        await caller.StartSidecarAsync();
        await caller.ReadyAsync();
        await client.FlowAsync(25);
        var failed = client.Failed();
        await client.FlowAsync(100);

        Assert.Equal(failed, client.Failed());
    }

    [Fact]
    public async Task RollingRestart_NoCallFails()
    {
        await pods.BothAnswerAsync();
        await using var client = await SteadyClient.StartAsync(pods.Mesh["caller"], FaultPods.Url);

        foreach (var name in new[] { "a", "b" })
        {
            var pod = pods.Mesh[name];
            Assert.Equal(0, await pod.TerminateSidecarAsync(_drain));
            await MeshPod.TerminateAsync(pod.App);
            await client.FlowAsync(50);
            await ReviveAsync(name);
            await client.FlowAsync(50);
        }

        var (count, failures) = await client.EndAsync();
        Assert.True(failures.Count == 0, $"{failures.Count} of {count} failed: {string.Join('\n', failures)}\n{pods.Mesh.Said()}");
    }

    [Theory]
    [InlineData("server")]
    [InlineData("client")]
    public async Task Terminated_WithAnOpenStream_TheStreamEndsWhole_AndTheProcessWith0(string side)
    {
        await pods.BothAnswerAsync();
        var limit = TestContext.Current.CancellationToken;
        using var client = pods.Mesh["caller"].Http();
        using var answer = await client.GetAsync(new Uri($"{FaultPods.Url}/stream/30/100"), HttpCompletionOption.ResponseHeadersRead, limit);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(limit));
        Assert.Equal("chunk 0", await reader.ReadLineAsync(limit));

        // Of the two servers the one that has a connection in.
        MeshPod[] ending = side == "client" ? [pods.Mesh["caller"]] : [pods.Mesh["a"], pods.Mesh["b"]];
        var ends = ending.Select(p => p.TerminateSidecarAsync(_drain)).ToArray();
        var lines = 1;
        while (await reader.ReadLineAsync(limit) is { } line)
        {
            Assert.Equal($"chunk {lines++}", line);
        }

        Assert.Equal(30, lines);
        // The client's own connection is the app's to close (SidecarHost): it is closed here.
        client.Dispose();
        Assert.All(await Task.WhenAll(ends), code => Assert.Equal(0, code));
        foreach (var pod in ending)
        {
            await pod.StartSidecarAsync();
            await pod.ReadyAsync();
        }

        await pods.BothAnswerAsync();
    }

    private async Task ReviveAsync(string name)
    {
        await pods.ServeAsync(name);
        await pods.Mesh[name].StartSidecarAsync();
        await pods.Mesh[name].ReadyAsync();
        await pods.Mesh.WaitUntilMeshedAsync("store");
        await pods.BothAnswerAsync();
    }
}
