using System.Collections.Immutable;
using System.Net;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Outbound;
using Mesh.Outbound.Steps;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Mesh.Core.Tests.Outbound;

/// <summary>
/// A server that goes away (GOAWAY, then the end of the connection) while a call has just got that connection: the runtime fails such a call with the error of those that were under way. Whether
/// the body was asked for tells the two apart. Seen in the Shop when certificates changed under load: three of 53,423.
/// </summary>
public sealed class UntouchedBodyTests : IDisposable
{
    private const string Cluster = "outbound|80||catalog.shop.svc.cluster.local";
    private readonly Breaking _transport = new();
    private readonly TestCa _ca = new("cluster.local");
    private readonly InMemoryConfigSource _config = new();
    private readonly OutboundTableStore _tables;
    private readonly TelemetryStep _telemetry;
    private readonly OutboundPipeline _pipeline;
    private readonly HttpMessageInvoker _outside = new(new SocketsHttpHandler());

    public UntouchedBodyTests()
    {
        // Back-off is by chance and short: real time.
        var (time, settings) = (TimeProvider.System, new OutboundSettings("storefront", "shop", "cluster.local"));
        var clusters = new ClusterRegistry(new FixedIdentitySource(_ca.Identity("shop", "storefront")), time, NullLoggerFactory.Instance, _transport);
        _tables = new OutboundTableStore(_config, clusters, settings, new MetricAggregate(), time, new Random(1), NullLoggerFactory.Instance);
        _telemetry = new TelemetryStep(null, time);
        _pipeline = new OutboundPipeline(_tables, settings, _telemetry, time, new Random(1));
        _config.Set(new MeshSnapshot
        {
            Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add("catalog", new ListenerResult.Found(
                new Listener("catalog") { Api = new HttpConnectionManager("catalog.shop.svc.cluster.local:80", null, null) },
                new RouteConfiguration("catalog", [new VirtualHost("catalog", ["*"], [new Route("all", new RouteMatch(null, [], null), new RouteAction.Forward([new WeightedCluster(Cluster, 1)]))])]))),
            Clusters = ImmutableDictionary<string, ClusterResult>.Empty.Add(Cluster, new ClusterResult.Found(
                new Cluster(Cluster, Cluster, TimeSpan.FromSeconds(2)),
                new LoadAssignment(Cluster, [new(new("", "", ""), 0, 1, [new Endpoint("127.0.0.1", 1, 1, true), new Endpoint("127.0.0.1", 2, 1, true)])]))),
        });
    }

    public void Dispose()
    {
        _telemetry.Dispose();
        _tables.Dispose();
        _outside.Dispose();
        _ca.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Post_ConnectionGoneBeforeTheBodyWasAskedFor_IsSentAgain(bool repeats)
    {
        using var response = await SendAsync(Post(repeats));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(["broke", "body"], _transport.Seen);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Post_ConnectionGoneAfterTheBodyWasAskedFor_Fails(bool repeats)
    {
        _transport.AsksFirst = true;

        await Assert.ThrowsAsync<HttpRequestException>(() => SendAsync(Post(repeats)));

        Assert.Equal(["broke"], _transport.Seen);
    }

    [Fact]
    public async Task Post_ThatWaitsFor100_HeadMayHaveArrived_Fails()
    {
        var request = Post(repeats: false);
        request.Headers.ExpectContinue = true;

        await Assert.ThrowsAsync<HttpRequestException>(() => SendAsync(request));

        Assert.Equal(["broke"], _transport.Seen);
    }

    private static HttpRequestMessage Post(bool repeats) => new(HttpMethod.Post, "http://catalog/orders")
    {
        Content = repeats ? new StringContent("body") : new StreamContent(new MemoryStream("body"u8.ToArray())),
    };

    private Task<HttpResponseMessage> SendAsync(HttpRequestMessage request) => _pipeline.SendAsync(request, _outside, limits: null, TestContext.Current.CancellationToken).AsTask();

    /// <summary>Its first connection breaks under the request, before or after it asked for the body.</summary>
    private sealed class Breaking : IEndpointTransport
    {
        public bool AsksFirst { get; set; }

        public List<string> Seen { get; } = [];

        public HttpMessageHandler Create(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, bool http2, Action connected)
        {
            connected();
            return new Connection(this);
        }

        private sealed class Connection(Breaking transport) : HttpMessageHandler
        {
            protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
            {
                if (transport.Seen.Count > 0)
                {
                    transport.Seen.Add(await request.Content!.ReadAsStringAsync(cancellationToken));
                    return new HttpResponseMessage(HttpStatusCode.OK) { RequestMessage = request, Content = new ByteArrayContent([]) };
                }

                transport.Seen.Add("broke");
                if (transport.AsksFirst)
                {
                    await request.Content!.CopyToAsync(Stream.Null, cancellationToken);
                }

                throw new HttpRequestException(
                    HttpRequestError.HttpProtocolError, "The HTTP/2 server closed the connection.", new HttpProtocolException(0, "The HTTP/2 server closed the connection.", null));
            }
        }
    }
}
