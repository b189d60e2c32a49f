using Google.Protobuf;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Protos.Otlp;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

/// <summary>A collector that takes nothing, however it says so, while control planes leave: nobody waits for it, nothing grows, and what it did not get is counted.</summary>
public sealed class RefusingCollectorTests
{
    private const int Workload = 20;
    private const int Big = 40;

    /// <summary>More than may wait: 40 MB.</summary>
    private static readonly string _megabyte = new('x', 1 << 20);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("500", "messages_dropped_total")]
    [InlineData("429", "messages_dropped_total")]
    [InlineData("hangs", "messages_dropped_total")]
    [InlineData("partial", "rejected_total")]
    public async Task Replicas_LeaveACollectorThatTakesNothing_InTime_AndAllIsCounted(string how, string counter)
    {
        await using var collector = await StartAsync(how);
        await using var first = await TestControlPlane.StartAsync(configure: o => (o.Otlp, o.OtlpProtocol) = (collector.Urls.First(), OtlpProtocol.HttpProtobuf));
        await using var second = await TestControlPlane.StartAsync(configure: o => (o.Otlp, o.OtlpProtocol) = (collector.Urls.First(), OtlpProtocol.HttpProtobuf));
        TestControlPlane[] replicas = [first, second];

        await Task.WhenAll(replicas.Select(FeedAsync));

        foreach (var replica in replicas)
        {
            Assert.InRange(Forwarder(replica).WaitingBytes, 0, OtlpForwarder.MaxWaitingBytes);
            using var api = replica.Api();
            // Before it leaves: whoever looks sees that it goes wrong.
            await Eventually.Async(
                async () => Value(await api.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token), $"mesh_controlplane_otlp_{counter}") > 0, "what the collector did not take shows in the metrics");
        }

        foreach (var replica in replicas)
        {
            var forwarder = Forwarder(replica);
            await replica.EndAsync().WaitAsync(TimeSpan.FromSeconds(60), Token);

            long All(Func<OtlpSignal, long> count) => count(OtlpSignal.Traces) + count(OtlpSignal.Metrics);
            Assert.Equal((Workload + Big, 0), (All(forwarder.Sent) + All(forwarder.Dropped), forwarder.WaitingBytes));
            Assert.Equal(how == "partial", All(forwarder.Sent) > 0);
            Assert.Equal((how == "partial", 0L), (All(forwarder.Rejected) > 0, All(forwarder.Rejected) % 3));
            // What it took with it is said, not only counted.
            Assert.Equal(how is "429" or "hangs", replica.Logs.GetSnapshot().Any(l => l.Id.Id == 4717));
        }
    }

    /// <summary>Messages of a workload, each of which is answered, and more than may wait beside them.</summary>
    private static async Task FeedAsync(TestControlPlane replica)
    {
        using var certificate = await replica.JoinAsync("shop", "storefront");
        using var channel = replica.TlsChannel(certificate);
        var client = new TraceService.TraceServiceClient(channel);
        for (var i = 0; i < Workload; i++)
        {
            var answer = await client.ExportAsync(TraceServiceTests.Request("shop", TraceServiceTests.Span()), deadline: DateTime.UtcNow.AddSeconds(60), cancellationToken: Token);
            Assert.Null(answer.PartialSuccess);
        }

        for (var i = 0; i < Big; i++)
        {
            var resource = new ResourceMetrics { Resource = new Resource { Attributes = { new KeyValue { Key = "service.name", Value = new AnyValue { StringValue = _megabyte } } } } };
            Forwarder(replica).Take(OtlpSignal.Metrics, new ExportMetricsServiceRequest { ResourceMetrics = { resource } });
            Assert.InRange(Forwarder(replica).WaitingBytes, 0, OtlpForwarder.MaxWaitingBytes);
        }
    }

    private static async Task<WebApplication> StartAsync(string how)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0").ConfigureKestrel(k => k.Limits.MaxRequestBodySize = null);
        var app = builder.Build();
        app.Run(async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
            context.Response.ContentType = "application/x-protobuf";
            switch (how)
            {
                case "hangs":
                    await Task.Delay(Timeout.Infinite, context.RequestAborted);
                    break;
                case "429":
                    context.Response.StatusCode = StatusCodes.Status429TooManyRequests;
                    context.Response.Headers.RetryAfter = "3600";
                    break;
                case "500":
                    context.Response.StatusCode = StatusCodes.Status500InternalServerError;
                    break;
                default:
                    // One answer for both signals: the number of what was refused stands in the same field.
                    await context.Response.Body.WriteAsync(
                        new ExportMetricsServiceResponse { PartialSuccess = new() { RejectedDataPoints = 3, ErrorMessage = "nothing fits" } }.ToByteArray(), context.RequestAborted);
                    break;
            }
        });
        await app.StartAsync(Token);
        return app;
    }

    private static OtlpForwarder Forwarder(TestControlPlane replica) => replica.Services.GetRequiredService<OtlpForwarder>();

    private static double Value(string metrics, string name) => metrics.Split('\n')
        .Where(line => line.StartsWith(name, StringComparison.Ordinal)).Sum(line => double.Parse(line[line.LastIndexOf(' ')..], System.Globalization.CultureInfo.InvariantCulture));
}
