using System.Net;
using System.Net.Sockets;
using Mesh.Export;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Mesh.Core.Tests.Export;

public sealed class MetricsListenerTests : IAsyncLifetime
{
    private readonly MetricAggregate _aggregate = new();
    private readonly CounterTotals _counters = new("test." + Guid.NewGuid().ToString("N"));
    private readonly HttpClient _client = new(new SocketsHttpHandler { UseProxy = false });
    private MetricsListener _listener = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private Uri Metrics => new($"http://127.0.0.1:{_listener.EndPoint!.Port}/metrics");

    public ValueTask InitializeAsync()
    {
        _listener = new MetricsListener(new MetricsText(_aggregate, _counters, "cart", "shop", "cart~1~shop"), TimeProvider.System, NullLogger<MetricsListener>.Instance);
        _listener.Start(new IPEndPoint(IPAddress.Loopback, 0));
        _aggregate.Get(MeshTags.ClientCallDuration).Record(TimeSpan.FromSeconds(1));
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _listener.DisposeAsync();
        _counters.Dispose();
    }

    [Fact]
    public async Task Get_IsAnsweredInTheFormatThatIsAskedFor()
    {
        var plain = await _client.GetAsync(Metrics, Cancel);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", plain.Content.Headers.ContentType?.ToString());
        var text = await plain.Content.ReadAsStringAsync(Cancel);
        Assert.StartsWith("# HELP target_info Who is measured.\n# TYPE target_info gauge\ntarget_info{service_name=\"cart\",service_namespace=\"shop\",service_instance_id=\"cart~1~shop\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("\nmesh_client_call_duration_seconds_count 1\n", text, StringComparison.Ordinal);
        using var request = new HttpRequestMessage(HttpMethod.Get, Metrics);
        request.Headers.Accept.ParseAdd("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1");

        using var open = await _client.SendAsync(request, Cancel);

        Assert.Equal("application/openmetrics-text; version=1.0.0; charset=utf-8", open.Content.Headers.ContentType?.ToString());
        var metrics = await open.Content.ReadAsStringAsync(Cancel);
        Assert.EndsWith("\n# EOF\n", metrics, StringComparison.Ordinal);
        Assert.Contains("\n# UNIT mesh_client_call_duration_seconds seconds\n", metrics, StringComparison.Ordinal);
        Assert.Contains("\nmesh_client_call_duration_seconds_created ", metrics, StringComparison.Ordinal);
        Assert.Contains("_bucket{le=\"1.0\"} 1\n", metrics, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "/", HttpStatusCode.NotFound)]
    [InlineData("GET", "/metrics/x", HttpStatusCode.NotFound)]
    [InlineData("POST", "/metrics", HttpStatusCode.MethodNotAllowed)]
    [InlineData("HEAD", "/metrics", HttpStatusCode.OK)]
    [InlineData("GET", "/metrics?x=1", HttpStatusCode.OK)]
    public async Task Others_AreRefused(string method, string path, HttpStatusCode status)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(Metrics, path));
        using var answer = await _client.SendAsync(request, Cancel);
        Assert.Equal(status, answer.StatusCode);
        Assert.Equal(status == HttpStatusCode.OK && method == "GET", (await answer.Content.ReadAsByteArrayAsync(Cancel)).Length > 0);
    }

    [Fact]
    public async Task Silent_ConnectionsBeyondTheFew_AreClosedAndNobodyIsShutOutForGood()
    {
        var silent = new List<Socket>();
        try
        {
            for (var i = 0; i < MetricsListener.MaxConnections + 4; i++)
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                silent.Add(socket);
                await socket.ConnectAsync(_listener.EndPoint!, Cancel);
            }

            await Eventually.Async(() => silent.Count(IsClosed) == 4, "those beyond the few are closed");
        }
        finally
        {
            silent.ForEach(s => s.Dispose());
        }

        await Eventually.Async(async () =>
        {
            try
            {
                using var answer = await _client.GetAsync(Metrics, Cancel);
                return answer.StatusCode == HttpStatusCode.OK;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }, "it answers again");

        static bool IsClosed(Socket socket) => socket.Poll(0, SelectMode.SelectRead) && socket.Available == 0;
    }

    [Fact]
    public async Task Head_TooLarge_IsClosed()
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(_listener.EndPoint!, Cancel);
        try
        {
            await socket.SendAsync(new byte[64 * 1024], Cancel);
            Assert.Equal(0, await socket.ReceiveAsync(new byte[1], Cancel));
        }
        catch (SocketException)
        {
            // Broken off while it still sent: as good.
        }
    }

    [Theory]
    [InlineData("9464", true)]
    [InlineData("127.0.0.1:9464", true)]
    [InlineData("[::1]:9464", true)]
    [InlineData("65536", false)]
    [InlineData("localhost:9464", false)]
    [InlineData("127.0.0.1", false)]
    [InlineData("", false)]
    public void TryParse_TakesPortsAndAddressesWithOne(string text, bool good) => Assert.Equal(good, MetricsListener.TryParse(text, out _));

    [Theory]
    [InlineData(null, "text/plain")]
    [InlineData("*/*", "text/plain")]
    [InlineData("text/plain", "text/plain")]
    [InlineData("application/openmetrics-text", "application/openmetrics-text")]
    [InlineData("application/openmetrics-text;version=1.0.0;q=0.5, text/plain;q=0.9", "text/plain")]
    [InlineData("application/openmetrics-text;q=0", "text/plain")]
    [InlineData("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "application/openmetrics-text")]
    public void Negotiate_ByWeight(string? accept, string type) => Assert.StartsWith(type + ";", TextFormats.Negotiate(accept).ContentType(), StringComparison.Ordinal);
}
