using System.Text.Json.Nodes;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Insight;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.ControlPlane.Tests.Telemetry;
using Mesh.ControlPlane.Tests.Xds;
using Mesh.Testing;
using Mesh.Xds.Decoding;
using Xunit;

namespace Mesh.ControlPlane.Tests.Api;

public sealed class OpenApiTests : IAsyncLifetime
{
    private const string Fault = """
        apiVersion: policy.meshlib.io/v1alpha1
        kind: FaultPolicy
        metadata: {name: slow, namespace: shop}
        spec:
          targetRefs: [{kind: Service, group: "", name: payments}]
          expiresAt: Never
          delay: {fixed: 200ms}
        """;

    /// <summary>They are no documents, or last.</summary>
    private static readonly string[] Streams = ["/api/v1/stream", "/api/v1/tap", "/api/v1/top"];

    private TestControlPlane _controlPlane = null!;
    private HttpClient _api = null!;
    private JsonObject _document = null!;

    public async ValueTask InitializeAsync()
    {
        _controlPlane = await TestControlPlane.StartAsync(fromFiles: true);
        await File.WriteAllTextAsync(
            Path.Combine(_controlPlane.Folder, "config", "shop.yaml"), $"{Manifests.Service("payments")}\n---\n{Manifests.Slice("payments", "10.0.0.1")}\n---\n{Fault}", TestContext.Current.CancellationToken);
        _api = _controlPlane.Api();
        _document = JsonNode.Parse(await _api.GetStringAsync("/api/v1/openapi.json", TestContext.Current.CancellationToken))!.AsObject();
    }

    public async ValueTask DisposeAsync()
    {
        _api.Dispose();
        await _controlPlane.DisposeAsync();
    }

    [Fact]
    public void EveryRoute_IsInIt_WithItsRight()
    {
        Assert.Equal("3.1.0", _document["openapi"]!.GetValue<string>());
        var told = _document["paths"]!.AsObject().SelectMany(p => p.Value!.AsObject().Select(m => (m.Key.ToUpperInvariant(), p.Key))).Order();
        Assert.Equal(ApiRoutes.Of(_controlPlane), told);
        Assert.Equal("change", _document["paths"]!["/api/v1/audit"]!["get"]!["x-right"]!.GetValue<string>());
        Assert.Equal("view", _document["paths"]!["/api/v1/overview"]!["get"]!["x-right"]!.GetValue<string>());
        Assert.All(_document["paths"]!.AsObject().SelectMany(p => p.Value!.AsObject()).Select(o => o.Value!["operationId"]!.GetValue<string>()).CountBy(i => i), i => Assert.Equal(1, i.Value));
    }

    /// <summary>With a mesh in which every list has something, each GET answers what the document says, and nothing that it does not say.</summary>
    [Fact]
    public void EveryQuery_HasTheNamesThatTheDocsSay()
    {
        string[] Names(string path) => [.. _document["paths"]![path]!["get"]!["parameters"]!.AsArray().Select(p => p!["name"]!.GetValue<string>()).Order(StringComparer.Ordinal)];

        Assert.Equal(["destination", "failed", "from", "labels", "limit", "min_ms", "namespace", "service", "source", "to", "window"], Names("/api/v1/traces"));
        Assert.Equal(
            ["backend", "by", "destination", "destination_namespace", "endpoint", "from", "live", "namespace", "route", "source", "source_namespace", "step_s", "to", "view", "window"],
            Names("/api/v1/golden/series"));
        Assert.Contains("labels", Names("/api/v1/tap"));
        Assert.Equal(Names("/api/v1/tap"), Names("/api/v1/top"));
        Assert.All(
            _document["paths"]!.AsObject().SelectMany(p => p.Value!.AsObject()).SelectMany(o => o.Value!["parameters"]?.AsArray() ?? []).Select(p => p!["name"]!.GetValue<string>()),
            name => Assert.Matches("^[a-z0-9_]+$", name));
    }

    [Fact]
    public async Task EveryGet_AnswersAsItSays()
    {
        using var certificate = await _controlPlane.JoinAsync("shop", "sa");
        using var channel = _controlPlane.TlsChannel(certificate);
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "outbound|80||payments.shop.svc.cluster.local");
        await stream.AnswerAsync(await stream.ReadAsync());
        await new Mesh.Protos.Otlp.MetricsService.MetricsServiceClient(channel).ExportAsync(
            GoldenMetricsTests.Shop(GoldenMetricsTests.Calls(3, good: true)), cancellationToken: TestContext.Current.CancellationToken);
        await Eventually.Async(async () => JsonNode.Parse(await _api.GetStringAsync("/api/v1/faults"))!["items"]!.AsArray().Count == 1, "the folder's fault is in force");
        using var asked = await _api.PostAsync("/api/v1/identity/rotate", null, TestContext.Current.CancellationToken);

        var shape = new JsonShape(_document);
        var problems = new List<string>();
        foreach (var (path, methods) in _document["paths"]!.AsObject())
        {
            if (methods!["get"] is not { } get || Streams.Contains(path) || get["responses"]!["200"]!["content"]?["application/json"]?["schema"] is not { } schema)
            {
                continue;
            }

            var text = await _api.GetAsync(Example(path), TestContext.Current.CancellationToken);
            var body = await text.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            if (!text.IsSuccessStatusCode)
            {
                problems.Add($"{path}: {(int)text.StatusCode} {body}");
                continue;
            }

            problems.AddRange(shape.Problems(schema, JsonNode.Parse(body)).Select(p => $"{path} {p}"));
        }

        Assert.Empty(problems);
    }

    private static string Example(string path) => path.Replace("{ns}", "shop").Replace("{namespace}", "shop").Replace("{name}", "payments").Replace("{id}", "x") + path switch
    {
        "/api/v1/explain" => "?service=payments&namespace=shop",
        "/api/v1/explain/request" => "?caller=shop/sa&service=payments&namespace=shop&method=GET&path=/",
        "/api/v1/identity/workloads/show" => "?id=shop/sa",
        "/api/v1/golden" or "/api/v1/golden/series" => "?by=pair",
        _ => string.Empty,
    };
}
