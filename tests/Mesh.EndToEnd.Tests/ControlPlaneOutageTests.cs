using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>The control plane goes away; calls do not notice.</summary>
public sealed class ControlPlaneOutageTests
{
    [Fact]
    public async Task ControlPlane_KilledUnderLoadAndRestarted_NoCallFailsAndClientsReturn()
    {
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
        await using var calls = new SteadyCalls(client, "http://catalog/", "ok");
        await calls.FlowAsync();
        await mesh.ControlPlane.KillAsync();
        await calls.FlowAsync(600);
        await mesh.StartControlPlaneAsync();
        await Eventually.Async(async () => (await mesh.GetAsync("/api/v1/clients")).Length == 3, "three clients return", TimeSpan.FromSeconds(30));
        await calls.FlowAsync();
        Assert.Empty(await calls.EndAsync());
        Assert.DoesNotContain(mesh.Logs.GetSnapshot(), record => record.Level >= LogLevel.Error);
        Assert.All(await mesh.GetAsync("/api/v1/workloads"), w => Assert.True(w.GetProperty("meshed").GetBoolean(), w.ToString()));

        // Told to stop rather than killed, it ends by itself, its clients' streams too.
        await mesh.ControlPlane.TerminateAsync();
        Assert.Equal(0, await mesh.ControlPlane.ExitAsync(TimeSpan.FromSeconds(10)));
    }
}
