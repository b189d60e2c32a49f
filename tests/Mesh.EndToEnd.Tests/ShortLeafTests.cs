using System.Net.Http.Json;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>Certificates that live for seconds: renewed, drained and over under load; calls do not notice.</summary>
public sealed class ShortLeafTests
{
    [Fact]
    public async Task Leaves_Of20Seconds_RenewedAndOverUnderLoad_NoCallFails()
    {
        int[] ports = [RunningMesh.FreePort(), RunningMesh.FreePort()];
        await using var mesh = await RunningMesh.StartAsync(
            ("catalog.yaml", RunningMesh.ServiceYaml("catalog", 80, ports[0])), ("front.yaml", RunningMesh.ServiceYaml("front", 80, ports[1])));
        using (var answer = await mesh.Api.PutAsJsonAsync("/api/v1/identity/leaf_life", new { seconds = 20 }, TestContext.Current.CancellationToken))
        {
            answer.EnsureSuccessStatusCode();
        }

        await mesh.StartServiceAsync("catalog", ports[0], app => app.MapGet("/", () => "ok"));
        var front = await mesh.StartServiceAsync("front", ports[1], app => app.MapGet("/", () => "front"), b => b.Services.AddHttpClient("front"));
        await mesh.WaitUntilMeshedAsync("catalog", "front");
        await using var calls = new SteadyCalls(front.Services.GetRequiredService<IHttpClientFactory>().CreateClient("front"), "http://catalog/", "ok");

        // Four generations: the first two are over by then, and so is every connection that was made with them.
        await Eventually.Async(
            async () => (await mesh.GetAsync("/api/v1/identities")).GroupBy(i => i.GetProperty("identity").GetString()).Count(g => g.Count() >= 4) == 2,
            "both workloads hold their fourth certificate",
            TimeSpan.FromSeconds(90));
        await calls.FlowAsync(50);

        Assert.Empty(await calls.EndAsync());
        Assert.DoesNotContain(mesh.Logs.GetSnapshot(), record => record.Level >= LogLevel.Error);
    }
}
