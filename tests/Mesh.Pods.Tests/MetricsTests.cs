using System.Text.Json;
using Mesh.Testing;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>What an operator sees of the pair: at the sidecars, and at the control plane.</summary>
[Collection(SharedPodsGroup.Name)]
public sealed class MetricsTests(SharedPods pods)
{
    [Fact]
    public async Task Metrics_OfBothSidecars_NameThePair()
    {
        using var answer = await pods.Mesh["web"].GetAsync(SharedPods.Url("store", SharedPods.Http) + "/metered");
        Assert.True(answer.IsSuccessStatusCode);

        await Eventually.Async(
            () => HasAsync("web", "mesh_client_call_duration_seconds_count", "mesh_source_workload=\"web\"", "mesh_destination_service=\"store\"", "mesh_tls=\"mesh\"", "mesh_outcome=\"success\""),
            "the caller's sidecar has it",
            PodMesh.StartLimit);
        await Eventually.Async(
            () => HasAsync("store", "mesh_server_call_duration_seconds_count", "mesh_source_workload=\"web\"", "mesh_tls=\"mesh\""),
            "the server's sidecar has it",
            PodMesh.StartLimit);
    }

    [Fact]
    public async Task Stat_OfTheControlPlane_HasThePair_AllOverMtls()
    {
        using var answer = await pods.Mesh["web"].GetAsync(SharedPods.Url("store", SharedPods.Http) + "/metered");
        Assert.True(answer.IsSuccessStatusCode);
        var output = "";

        await Eventually.Async(
            async () =>
            {
                output = await pods.Mesh.CliAsync("stat", "-o", "json", "--window", "5m");
                using var all = JsonDocument.Parse(output);
                return all.RootElement.EnumerateArray().Any(p =>
                    p.GetProperty("source").GetString() == "web" && p.GetProperty("destination").GetString() == "store"
                    && p.GetProperty("requests").GetInt64() > 0 && p.GetProperty("mtls_share").GetDouble() == 1);
            },
            "the pair is told",
            PodMesh.StartLimit);
    }

    private async Task<bool> HasAsync(string pod, string name, params string[] labels) =>
        (await pods.Mesh[pod].AdminAsync("/metrics")).Body.Split('\n').Any(l => l.StartsWith(name, StringComparison.Ordinal) && labels.All(x => l.Contains(x, StringComparison.Ordinal)));
}
