using Mesh.Testing;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>A pod's begin and end: readiness, and <c>await</c> before an app and around a job.</summary>
[Collection(FaultPodsGroup.Name)]
public sealed class LifeTests(FaultPods pods)
{
    [Fact]
    public async Task Ready_Is503WithTheReason_UntilThereIsACertificate()
    {
        var job = pods.Mesh["job"];
        var token = pods.Mesh.Scratch("late-token");
        await File.WriteAllTextAsync(token, "not.a.token", TestContext.Current.CancellationToken);
        await job.StartSidecarAsync(token);
        var (status, body) = (0, "");
        await Eventually.Async(async () => ((status, body) = await job.AdminAsync("/ready")).status != 0, "the admin port answers", PodMesh.StartLimit);
        Assert.Equal(503, status);
        Assert.Contains("it has no certificate", body, StringComparison.Ordinal);
        Assert.Equal(200, (await job.AdminAsync("/live")).Status);

        await File.WriteAllTextAsync(token, await pods.Mesh.CreateTokenAsync("job"), TestContext.Current.CancellationToken);
        await job.ReadyAsync();

        Assert.Equal((200, "ready"), ((await job.AdminAsync("/ready")).Status, (await job.AdminAsync("/ready")).Body.Trim()));
        Assert.Equal(0, await job.TerminateSidecarAsync(TimeSpan.FromSeconds(25)));
    }

    [Fact]
    public async Task Await_StartsTheApp_WhenTheProxyIsReady()
    {
        var job = pods.Mesh["job"];
        var (file, arguments) = Programs.Proxy("await", "--timeout", "60s", "--", "curl", "-sS", "--max-time", "20", FaultPods.Url + "/awaited");
        await using var app = job.Start(file, arguments);
        // It has begun to wait, and nobody is there.
        await Eventually.Async(async () => (await job.AdminAsync("/ready")).Status == 0 && !app.HasExited, "it waits");

        await job.StartSidecarAsync();

        Assert.True(await app.ExitAsync(TimeSpan.FromSeconds(90)) == 0, app.Errors);
        Assert.Contains("spiffe://cluster.local/ns/pods/sa/job", app.Output, StringComparison.Ordinal);
        Assert.Equal(0, await job.TerminateSidecarAsync(TimeSpan.FromSeconds(25)));
    }

    [Fact]
    public async Task AwaitShutdown_AJobThatEnds_EndsTheProxyToo()
    {
        var job = pods.Mesh["job"];
        await job.StartSidecarAsync();
        var (file, arguments) = Programs.Proxy("await", "--shutdown", "--", "sh", "-c", $"curl -sS --max-time 20 {FaultPods.Url}/job && exit 3");
        await using var app = job.Start(file, arguments);

        Assert.Equal(3, await app.ExitAsync(TimeSpan.FromSeconds(90)));
        Assert.Contains("GET /job HTTP/1.1", app.Output, StringComparison.Ordinal);
        Assert.Equal(0, await job.Sidecar.ExitAsync(TimeSpan.FromSeconds(25)));
    }
}
