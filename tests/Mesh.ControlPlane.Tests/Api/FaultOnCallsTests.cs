using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Api;

public sealed class FaultOnCallsTests
{
    /// <summary>From the request to the API to what a real caller gets, and back.</summary>
    [Fact]
    public async Task Fault_AskedForAndEnded_IsWhatCallersGet()
    {
        await using var mesh = await PolicyMesh.StartAsync(PolicyMesh.Policy("TimeoutPolicy", "request: 30s"));
        Assert.Equal(200, await mesh.CallAsync(TestContext.Current.CancellationToken));
        var addresses = await mesh.Caller.Services.GetRequiredService<MeshControlPlane>().Ready;
        using var api = new HttpClient { BaseAddress = new Uri(addresses.Http), DefaultRequestHeaders = { Authorization = new("Bearer", addresses.Token) } };

        using var added = await api.PostAsJsonAsync("/api/v1/faults", new { @namespace = "shop", service = "cart", abort_status = 418, seconds = 600 }, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, added.StatusCode);
        await Eventually.Async(async () => await mesh.CallAsync(TestContext.Current.CancellationToken) == 418, "the caller gets the fault");
        var seen = mesh.Seen.Count;
        Assert.Equal(418, await mesh.CallAsync(TestContext.Current.CancellationToken));
        Assert.Equal(seen, mesh.Seen.Count);

        var id = JsonNode.Parse(await added.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["id"]!.GetValue<string>();
        using var ended = await api.DeleteAsync($"/api/v1/faults/{id}", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NoContent, ended.StatusCode);
        await Eventually.Async(async () => await mesh.CallAsync(TestContext.Current.CancellationToken) == 200, "the fault is over");
    }
}
