using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>Every certificate is replaced; calls do not notice.</summary>
public sealed class RotationTests
{
    [Fact]
    public async Task AllCertificates_RotatedTwiceUnderLoad_NoCallFails()
    {
        int[] ports = [RunningMesh.FreePort(), RunningMesh.FreePort()];
        await using var mesh = await RunningMesh.StartAsync(
            ("catalog.yaml", RunningMesh.ServiceYaml("catalog", 80, ports[0])), ("front.yaml", RunningMesh.ServiceYaml("front", 80, ports[1])));
        await mesh.StartServiceAsync("catalog", ports[0], app => app.MapGet("/", () => "ok"));
        var front = await mesh.StartServiceAsync("front", ports[1], app => app.MapGet("/", () => "front"), b => b.Services.AddHttpClient("front"));
        await mesh.WaitUntilMeshedAsync("catalog", "front");
        await using var calls = new SteadyCalls(front.Services.GetRequiredService<IHttpClientFactory>().CreateClient("front"), "http://catalog/", "ok");
        await calls.FlowAsync();

        for (var rotation = 1; rotation <= 2; rotation++)
        {
            using var answer = await mesh.Api.PostAsync(new Uri("/api/v1/identity/rotate", UriKind.Relative), null, TestContext.Current.CancellationToken);
            answer.EnsureSuccessStatusCode();
            await Eventually.Async(
                async () => (await mesh.GetAsync("/api/v1/identities")).GroupBy(i => i.GetProperty("identity").GetString()).Count(g => g.Count() > rotation) == 2,
                $"both workloads hold certificate {rotation + 1}",
                TimeSpan.FromSeconds(30));
            await calls.FlowAsync();
        }

        Assert.Empty(await calls.EndAsync());
        Assert.DoesNotContain(mesh.Logs.GetSnapshot(), record => record.Level >= LogLevel.Error);
        var pair = Assert.Single(await mesh.GetAsync("/api/v1/pairs"), p => p.GetProperty("source").GetString() == "front");
        Assert.Equal(1, pair.GetProperty("mtls_share").GetDouble());
    }
}
