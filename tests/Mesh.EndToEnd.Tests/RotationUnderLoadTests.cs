using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>Certificates of 20 seconds under many calls at once. <c>MESH_SOAK_SECONDS</c> is how long (45); at most 1,000 calls a second, as many as the machine can.</summary>
public sealed class RotationUnderLoadTests(ITestOutputHelper output)
{
    private const int Callers = 20;
    private static readonly TimeSpan _pace = TimeSpan.FromMilliseconds(20);

    [Fact]
    public async Task Leaves_Of20SecondsUnderLoad_AreRenewedOnBothSidesAndNoCallFails()
    {
        var seconds = int.TryParse(Environment.GetEnvironmentVariable("MESH_SOAK_SECONDS"), NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : 45;
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
        var client = front.Services.GetRequiredService<IHttpClientFactory>().CreateClient("front");
        var address = new Uri("http://catalog/");
        var watch = Stopwatch.StartNew();
        await using var calls = new SteadyCalls(() => SteadyCalls.GetAsync(client, address, "ok"), Callers, _pace);

        // At least two renewals on each side, however slow the machine is.
        await Eventually.Async(
            async () => watch.Elapsed.TotalSeconds >= seconds && await RenewalsAsync(mesh) >= 2, $"{seconds} s and two renewals on each side", TimeSpan.FromSeconds(seconds + 60));
        var (count, rate) = (calls.Count, calls.Count / watch.Elapsed.TotalSeconds);
        await calls.FlowAsync(50);

        Assert.Empty(await calls.EndAsync());
        Assert.DoesNotContain(mesh.Logs.GetSnapshot(), record => record.Level >= LogLevel.Error);
        var renewals = await RenewalsAsync(mesh);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count} calls, {rate:0} a second, at least {renewals} renewals on each side"));
    }

    /// <summary>How often the workload that was renewed least was.</summary>
    private static async Task<int> RenewalsAsync(RunningMesh mesh)
    {
        var counts = (await mesh.GetAsync("/api/v1/identities")).GroupBy(i => i.GetProperty("identity").GetString()).Select(g => g.Count()).ToArray();
        return counts.Length == 2 ? counts.Min() - 1 : 0;
    }
}
