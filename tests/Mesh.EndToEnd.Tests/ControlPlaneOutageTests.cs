using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>The control plane goes away; calls do not notice.</summary>
public sealed class ControlPlaneOutageTests
{
    [Fact]
    public async Task ControlPlane_KilledUnderLoadAndRestarted_NoCallFailsAndClientsReturn()
    {
        var cancellation = TestContext.Current.CancellationToken;
        int[] ports = [RunningMesh.FreePort(), RunningMesh.FreePort()];
        var front = RunningMesh.FreePort();
        await using var mesh = await RunningMesh.StartAsync(
            ("catalog.yaml", RunningMesh.ServiceYaml("catalog", 80, ports)), ("front.yaml", RunningMesh.ServiceYaml("front", 80, front)));
        foreach (var port in ports)
        {
            await mesh.StartServiceAsync("catalog", port, app => app.MapGet("/", () => "ok"));
        }

        var caller = await mesh.StartServiceAsync("front", front, app => app.MapGet("/", () => "front"), b => b.Services.AddHttpClient("catalog"));
        await mesh.WaitUntilMeshedAsync("catalog", "front");
        var client = caller.Services.GetRequiredService<IHttpClientFactory>().CreateClient("catalog");
        var failures = new ConcurrentQueue<string>();
        var calls = 0;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        stop.CancelAfter(TimeSpan.FromMinutes(2));
        var load = Task.Run(
            async () =>
            {
                using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
                while (!stop.IsCancellationRequested)
                {
                    try
                    {
                        if (await client.GetStringAsync(new Uri("http://catalog/"), CancellationToken.None) != "ok")
                        {
                            failures.Enqueue("another answer");
                        }
                    }
                    catch (HttpRequestException e)
                    {
                        failures.Enqueue(e.ToString());
                    }

                    calls++;
                    await pace.WaitForNextTickAsync(CancellationToken.None);
                }
            },
            cancellation);

        await Mesh.Testing.Eventually.Async(() => calls > 100, "traffic flows");
        await mesh.ControlPlane.KillAsync();
        var killedAt = calls;
        await Mesh.Testing.Eventually.Async(() => calls > killedAt + 600, "traffic flows without a control plane", TimeSpan.FromSeconds(30));
        await mesh.StartControlPlaneAsync();
        var returned = false;
        for (var i = 0; i < 300 && !returned; i++)
        {
            returned = (await mesh.GetAsync("/api/v1/clients")).Length == 3;
            using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
            await pause.WaitForNextTickAsync(cancellation);
        }

        Assert.True(returned, "Three clients return within 30 s.");
        var returnedAt = calls;
        await Mesh.Testing.Eventually.Async(() => calls > returnedAt + 100, "traffic flows after the return");
        await stop.CancelAsync();
        await load;
        Assert.Empty(failures);
        Assert.All(await mesh.GetAsync("/api/v1/workloads"), w => Assert.True(w.GetProperty("meshed").GetBoolean(), w.ToString()));
    }
}
