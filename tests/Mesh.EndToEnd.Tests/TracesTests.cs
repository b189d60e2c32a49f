using System.Net;
using System.Text.Json;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>A call through two services is one trace: in the control plane, on the command line, and in a collector that is not ours.</summary>
public sealed class TracesTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("grpc")]
    [InlineData("http/protobuf")]
    public async Task Call_IsOneTrace_HereAndInTheCollector(string protocol)
    {
        Assert.SkipUnless(AspireDashboard.CanRun, "The Aspire dashboard is a program for Linux on x64.");
        await using var collector = await AspireDashboard.StartAsync();
        var (shop, stock) = (RunningMesh.FreePort(), RunningMesh.FreePort());
        await using var mesh = await RunningMesh.StartWithAsync(
            ["--otlp", protocol == "grpc" ? collector.Grpc : collector.Http, "--otlp-protocol", protocol, "--otlp-headers", "x-team=shop"],
            ("shop.yaml", RunningMesh.ServiceYaml("shop", 80, shop)), ("stock.yaml", RunningMesh.ServiceYaml("stock", 80, stock)));
        await mesh.StartServiceAsync("stock", stock, app =>
        {
            app.MapGet("/items/{id}", (string id) => id == "0" ? Results.StatusCode(500) : Results.Ok(id));
        }, change: All);
        await mesh.StartServiceAsync("shop", shop, app => app.MapGet("/orders/{id}", async (string id, IHttpClientFactory clients, CancellationToken cancel) =>
        {
            using var client = clients.CreateClient();
            using var answer = await client.GetAsync(new Uri($"http://stock/items/{id}?secret=1"), cancel);
            return Results.StatusCode((int)answer.StatusCode);
        }), builder => builder.Services.AddHttpClient(), All);
        await mesh.WaitUntilMeshedAsync("shop", "stock");

        using var caller = new HttpClient();
        using (var good = await caller.GetAsync(new Uri($"http://127.0.0.1:{shop}/orders/7"), Token))
        {
            Assert.Equal(HttpStatusCode.OK, good.StatusCode);
        }

        using (var bad = await caller.GetAsync(new Uri($"http://127.0.0.1:{shop}/orders/0"), Token))
        {
            Assert.Equal(HttpStatusCode.InternalServerError, bad.StatusCode);
        }

        var good7 = await TraceAsync(mesh, failed: false);
        var bad0 = await TraceAsync(mesh, failed: true);
        Assert.Equal(["server shop GET /orders/{id}", "client shop GET stock", "internal shop mesh.attempt", "server stock GET /items/{id}"], Tree(good7));
        Assert.DoesNotContain("secret", good7.GetRawText(), StringComparison.Ordinal);
        Assert.Equal("error", bad0.GetProperty("spans")[0].GetProperty("status").GetString());

        // As a person sees it.
        var shown = await Cli.RunAsync("traces", "show", bad0.GetProperty("trace_id").GetString()!, "--server", mesh.Http, "--token", mesh.AdminToken);
        Assert.Equal(0, shown.Exit);
        Assert.Contains("GET /items/{id} (server)", shown.Output, StringComparison.Ordinal);
        Assert.Contains("failed 500", shown.Output, StringComparison.Ordinal);

        // What somebody else's program made of it: the same spans, each under its own workload, and the control plane's own.
        await Eventually.Async(
            async () =>
            {
                var spans = await collector.SpansAsync();
                var ours = spans.Where(s => s.Span.GetProperty("traceId").GetString() == good7.GetProperty("trace_id").GetString()).ToList();
                return ours.Count == 4 && ours.Count(s => s is { Resource: "shop", Namespace: "shop" }) == 3 && ours.Count(s => s is { Resource: "stock", Namespace: "shop" }) == 1
                    && spans.Any(s => s.Resource == "mesh-control-plane");
            },
            "the collector has the trace",
            TimeSpan.FromSeconds(60));
        await Eventually.Async(
            async () => (await collector.ResourcesAsync()).EnumerateArray().Count(r => r.GetProperty("name").GetString() is "shop" or "stock" && r.GetProperty("hasMetrics").GetBoolean()) == 2,
            "the collector has metrics of both workloads",
            TimeSpan.FromSeconds(60));
        var metrics = await mesh.Api.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        Assert.Contains("mesh_controlplane_otlp_messages_dropped_total{signal=\"traces\"} 0", metrics, StringComparison.Ordinal);
        Assert.Contains("mesh_controlplane_otlp_messages_dropped_total{signal=\"metrics\"} 0", metrics, StringComparison.Ordinal);
    }

    private static void All(Dictionary<string, string?> settings) => settings["Mesh:Traces:Ratio"] = "1";

    /// <summary>The whole of the one that did or did not fail.</summary>
    private static async Task<JsonElement> TraceAsync(RunningMesh mesh, bool failed)
    {
        var found = default(JsonElement);
        await Eventually.Async(
            async () =>
            {
                var list = JsonDocument.Parse(await mesh.Api.GetStringAsync(new Uri("/api/v1/traces?service=stock", UriKind.Relative), Token)).RootElement;
                var line = list.GetProperty("items").EnumerateArray().FirstOrDefault(t => t.GetProperty("failed").GetBoolean() == failed && t.GetProperty("spans").GetInt32() == 4);
                if (line.ValueKind == JsonValueKind.Undefined)
                {
                    return false;
                }

                found = JsonDocument.Parse(await mesh.Api.GetStringAsync(new Uri($"/api/v1/traces/{line.GetProperty("trace_id").GetString()}", UriKind.Relative), Token)).RootElement;
                return true;
            },
            $"a whole trace that did {(failed ? string.Empty : "not ")}fail",
            TimeSpan.FromSeconds(30));
        return found;
    }

    /// <summary>From the root down: each has one below it.</summary>
    private static List<string> Tree(JsonElement trace)
    {
        var spans = trace.GetProperty("spans").EnumerateArray().ToList();
        var lines = new List<string>();
        for (string? above = null; spans.FirstOrDefault(s => s.GetProperty("parent_id").GetString() == above) is { ValueKind: JsonValueKind.Object } span; above = span.GetProperty("span_id").GetString())
        {
            lines.Add($"{span.GetProperty("kind").GetString()} {span.GetProperty("workload").GetString()} {span.GetProperty("name").GetString()}");
        }

        return lines;
    }
}
