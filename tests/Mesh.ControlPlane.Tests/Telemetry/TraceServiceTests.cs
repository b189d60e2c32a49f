using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Protos.Otlp;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

public sealed class TraceServiceTests
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";
    private static readonly SpiffeId Storefront = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/storefront");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Export_OverMtls_IsAnsweredByTheApi()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "storefront");
        using var channel = controlPlane.TlsChannel(certificate);
        var span = Span();
        span.Status = new SpanStatus { Code = SpanStatus.Types.StatusCode.Error };
        span.Attributes.Add(new KeyValue { Key = "http.response.status_code", Value = new AnyValue { IntValue = 503 } });
        span.Attributes.Add(new KeyValue { Key = "mesh.peer", Value = new AnyValue { StringValue = "spiffe://x" } });
        var happened = new Span.Types.Event { Name = "retry", TimeUnixNano = span.StartTimeUnixNano };
        happened.Attributes.Add(new KeyValue { Key = "mesh.reason", Value = new AnyValue { StringValue = "503" } });
        span.Events.Add(happened);

        var response = await new TraceService.TraceServiceClient(channel).ExportAsync(Request("shop", span), cancellationToken: Token);

        Assert.Null(response.PartialSuccess);
        using var api = controlPlane.Api();
        var list = (await api.GetFromJsonAsync<JsonNode>("/api/v1/traces?service=storefront&failed=true&min_ms=1&limit=5", Token))!;
        var item = Assert.Single(list["items"]!.AsArray())!;
        Assert.Equal(
            (TraceId, "GET /products/{id}", "storefront", "shop", 12.5, 1, true),
            ((string)item["trace_id"]!, (string)item["root"]!, (string)item["workload"]!, (string)item["namespace"]!, (double)item["duration_ms"]!, (int)item["spans"]!, (bool)item["failed"]!));
        Assert.Equal("storefront", (string)Assert.Single(item["services"]!.AsArray())!);
        var at = (DateTimeOffset)item["at"]!;
        foreach (var (time, found) in new[] { ($"from={At(at)}", 1), ($"from={At(at)}&to={At(at.AddMilliseconds(1))}", 1), ($"from={At(at.AddMilliseconds(1))}", 0), ($"from={At(at.AddHours(-1))}&to={At(at)}", 0) })
        {
            Assert.Equal(found, (await api.GetFromJsonAsync<JsonNode>($"/api/v1/traces?{time}", Token))!["items"]!.AsArray().Count);
        }

        var shown = (await api.GetFromJsonAsync<JsonNode>($"/api/v1/traces/{TraceId.ToUpperInvariant()}", Token))!;
        Assert.Equal(TraceId, (string)shown["trace_id"]!);
        var one = Assert.Single(shown["spans"]!.AsArray())!;
        Assert.Equal(
            ("00f067aa0ba902b7", null, "server", "error", 503, "spiffe://x"),
            ((string)one["span_id"]!, (string?)one["parent_id"], (string)one["kind"]!, (string)one["status"]!, (int)one["attributes"]!["http.response.status_code"]!, (string)one["attributes"]!["mesh.peer"]!));
        Assert.Equal(("retry", "503"), ((string)one["events"]![0]!["name"]!, (string)one["events"]![0]!["attributes"]!["mesh.reason"]!));
    }

    [Fact]
    public async Task Api_ByLabels_ChoosesTracesOfWorkloadsThatHaveThem()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        var labels = ImmutableSortedDictionary<string, string>.Empty.Add("tier", "edge");
        controlPlane.Source.Publish(new MeshModel { Workloads = [new Workload("shop", "storefront-1", "10.0.0.1", 8080, "storefront", labels), new Workload("bank", "storefront", "10.0.0.2", 8080, "till", labels.SetItem("tier", "back"))] });
        var model = controlPlane.Services.GetRequiredService<ModelStore>();
        await Eventually.Async(() => model.Current.Workloads.Length == 2, "the model is served");
        controlPlane.Services.GetRequiredService<TraceStore>().Add(TraceReader.Read(Request("shop", Span()).ResourceSpans, Storefront).Spans);
        using var api = controlPlane.Api();

        foreach (var (selector, found) in new[] { ("tier=edge", 1), ("tier!=edge", 0), ("tier", 1), ("team", 0) })
        {
            Assert.Equal(found, (await api.GetFromJsonAsync<JsonNode>($"/api/v1/traces?labels={Uri.EscapeDataString(selector)}", Token))!["items"]!.AsArray().Count);
        }
    }

    private static string At(DateTimeOffset time) => Uri.EscapeDataString(time.ToString("O", CultureInfo.InvariantCulture));

    [Fact]
    public async Task Export_WithoutCertificate_IsUnauthenticated()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var channel = controlPlane.TlsChannel();

        var refused = await Assert.ThrowsAsync<RpcException>(() => new TraceService.TraceServiceClient(channel).ExportAsync(Request("shop", Span()), cancellationToken: Token).ResponseAsync);

        Assert.Equal(StatusCode.Unauthenticated, refused.StatusCode);
        Assert.Equal(0, controlPlane.Services.GetRequiredService<TraceStore>().Counts.Traces);
    }

    [Theory]
    [InlineData("/api/v1/traces/0af7651916cd43dd8448eb211c80319d", HttpStatusCode.NotFound, "mesh traces")]
    [InlineData("/api/v1/traces?limit=0", HttpStatusCode.BadRequest, "limit is '0'")]
    [InlineData("/api/v1/traces?min_ms=-1", HttpStatusCode.BadRequest, "min_ms is '-1'")]
    [InlineData("/api/v1/traces?window=60&from=-60", HttpStatusCode.BadRequest, "window excludes from and to")]
    [InlineData("/api/v1/traces?labels=app%3Da%3Db", HttpStatusCode.BadRequest, "Give labels such as")]
    [InlineData("/api/v1/traces?failed=yes", HttpStatusCode.BadRequest, "failed is 'yes'")]
    public async Task Api_WrongQuestion_SaysWhatIsRight(string path, HttpStatusCode expected, string detail)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var api = controlPlane.Api();

        using var response = await api.GetAsync(path, Token);

        Assert.Equal(expected, response.StatusCode);
        Assert.Contains(detail, (string)(await response.Content.ReadFromJsonAsync<JsonNode>(Token))!["detail"]!, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_OfAnotherNamespace_IsRefused()
    {
        var (spans, rejected, reason) = TraceReader.Read([.. Request("bank", Span()).ResourceSpans, .. Request("shop", Span()).ResourceSpans], Storefront);

        Assert.Equal(("storefront", "shop"), (Assert.Single(spans).Workload, spans[0].Namespace));
        Assert.Equal(1, rejected);
        Assert.Contains("'bank'", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_MalformedSpans_AreRefusedAlone()
    {
        Span[] wrong =
        [
            Span(s => s.TraceId = ByteString.Empty), Span(s => s.TraceId = ByteString.CopyFrom(new byte[16])), Span(s => s.SpanId = ByteString.CopyFrom(new byte[8])),
            Span(s => s.ParentSpanId = ByteString.CopyFrom(1, 2)), Span(s => s.EndTimeUnixNano = s.StartTimeUnixNano - 1), Span(s => s.StartTimeUnixNano = 0),
        ];

        var (spans, rejected, reason) = TraceReader.Read(Request("shop", [.. wrong, Span()]).ResourceSpans, Storefront);

        Assert.Single(spans);
        Assert.Equal(wrong.Length, rejected);
        Assert.NotNull(reason);
    }

    [Fact]
    public void Read_TooMuch_IsCut()
    {
        var huge = Span(s => s.Name = new string('n', 10_000));
        huge.EndTimeUnixNano = ulong.MaxValue;
        huge.Attributes.AddRange(Enumerable.Range(0, 500).Select(i => new KeyValue { Key = $"k{i}", Value = new AnyValue { StringValue = new string('v', 10_000) } }));
        huge.Events.AddRange(Enumerable.Range(0, 500).Select(_ => new Span.Types.Event { Name = "e", TimeUnixNano = ulong.MaxValue }));

        var span = Assert.Single(TraceReader.Read(Request("shop", huge).ResourceSpans, Storefront).Spans);

        Assert.Equal((256, 64, 64), (span.Name.Length, span.Attributes.Count, span.Events.Count));
        Assert.All(span.Attributes.Values, v => Assert.Equal(1024, Assert.IsType<string>(v).Length));
        var (_, rejected, _) = TraceReader.Read(Request("shop", [.. Enumerable.Range(0, TraceReader.MaxSpans + 3).Select(_ => Span())]).ResourceSpans, Storefront);
        Assert.Equal(3, rejected);
    }

    internal static ExportTraceServiceRequest Request(string ns, params Span[] spans)
    {
        var resource = new ResourceSpans { Resource = new Resource() };
        resource.Resource.Attributes.Add(new KeyValue { Key = "service.namespace", Value = new AnyValue { StringValue = ns } });
        resource.Resource.Attributes.Add(new KeyValue { Key = "service.name", Value = new AnyValue { StringValue = "storefront" } });
        var scope = new ScopeSpans();
        scope.Spans.AddRange(spans);
        resource.ScopeSpans.Add(scope);
        var request = new ExportTraceServiceRequest();
        request.ResourceSpans.Add(resource);
        return request;
    }

    internal static Span Span(Action<Span>? change = null)
    {
        const ulong start = 1_767_225_600_000_000_000;
        var span = new Span
        {
            TraceId = ByteString.CopyFrom(Convert.FromHexString(TraceId)),
            SpanId = ByteString.CopyFrom(Convert.FromHexString("00f067aa0ba902b7")),
            Name = "GET /products/{id}",
            Kind = Protos.Otlp.Span.Types.SpanKind.Server,
            StartTimeUnixNano = start,
            EndTimeUnixNano = start + 12_500_000,
        };
        change?.Invoke(span);
        return span;
    }
}
