using System.Net;
using System.Text.RegularExpressions;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Traffic;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Rewrites, header changes, redirects and direct answers over real connections.</summary>
public sealed class SteeringTests : IAsyncLifetime
{
    private static readonly Uri _asked = new("http://catalog/users/7/orders/1?x=1&y=%20");
    private SteeredService _service = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _service = await SteeredService.StartAsync();

    public ValueTask DisposeAsync() => _service.DisposeAsync();

    [Theory]
    [InlineData("prefix", "/v2/7/orders/1?x=1&y=%20")]
    [InlineData("regex", "/users/7/orders/1/of/7?x=1&y=%20")]
    [InlineData("template", "/v2/orders/1/by/7?x=1&y=%20")]
    [InlineData("query", "/found?by=mesh&x=1&y=%20")]
    public async Task PathRewrite_EachForm_IsWhatTheServerSees_AndTheQueryStays(string form, string expected)
    {
        PathRewrite rewrite = form switch
        {
            "prefix" => new PathRewrite.Prefix("/v2"),
            "regex" => new PathRewrite.Pattern(new TextRewrite(new Regex("^/users/([0-9]+)(.*)$"), "/users/${1}${2}/of/${1}")),
            "template" => new PathRewrite.Template("/v2/{rest}/by/{id}"),
            _ => new PathRewrite.Full("/found?by=mesh"),
        };
        var match = form == "template"
            ? new RouteMatch(null, [], null) { Template = PathTemplate.Parse("/users/{id}/{rest=**}") }
            : new RouteMatch(new StringMatcher(StringMatchKind.PathPrefix, "/users"), [], null);
        _service.Serve(SteeredService.Route(f => f with { PathRewrite = rewrite }, match));

        using var request = new HttpRequestMessage(HttpMethod.Get, _asked);
        using var response = await _service.Program.Client().SendAsync(request, Cancel);

        Assert.Equal(expected, Assert.Single(_service.Seen["a"]).Target);
        Assert.Equal(_asked, request.RequestUri);
        Assert.Same(request, response.RequestMessage);
    }

    [Fact]
    public async Task HostRewrite_IsWhatTheServerSees_TheCallerKeepsIts()
    {
        _service.Serve(SteeredService.Route(f => f with { HostRewrite = "inner.example:81" }));
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");
        using var response = await _service.Program.Client().SendAsync(request, Cancel);

        Assert.Equal("inner.example:81", Assert.Single(_service.Seen["a"]).Host);
        Assert.Null(request.Headers.Host);
        Assert.Equal("http://catalog/", request.RequestUri!.ToString());
    }

    [Fact]
    public async Task Headers_OfClusterAndRoute_ApplyInOrder_AndTheCallersComeBack()
    {
        var route = SteeredService.Route(f => f with
        {
            Clusters = [new WeightedCluster(SteeredService.Cluster("a"), 1)
            {
                RequestHeaders = Changes(("x-who", "cluster", HeaderChangeKind.Set), ("x-list", "cluster", HeaderChangeKind.Append)),
                ResponseHeaders = Changes(("x-from", "cluster", HeaderChangeKind.AddIfAbsent)),
            }],
        }) with
        {
            RequestHeaders = Changes(
                ("x-gone", "", HeaderChangeKind.Remove), ("content-language", "nl", HeaderChangeKind.Set), ("x-who", "route", HeaderChangeKind.Set), ("x-absent", "no", HeaderChangeKind.SetIfPresent),
                ("x-list", "route", HeaderChangeKind.Append), ("x-list", "late", HeaderChangeKind.AddIfAbsent), ("x-new", "100%", HeaderChangeKind.AddIfAbsent)),
            ResponseHeaders = Changes(("server", "", HeaderChangeKind.Remove), ("content-type", "text/x", HeaderChangeKind.Set), ("x-from", "route", HeaderChangeKind.AddIfAbsent)),
        };
        _service.Serve(route);
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://catalog/") { Content = new StringContent("body") };
        request.Content.Headers.ContentLanguage.Add("de");
        foreach (var (name, value) in new[] { ("X-Gone", "1"), ("X-List", "own"), ("X-List", "two"), ("X-Who", "caller") })
        {
            request.Headers.Add(name, value);
        }

        using var response = await _service.Program.Client().SendAsync(request, Cancel);

        var seen = Assert.Single(_service.Seen["a"]);
        Assert.False(seen.Headers.ContainsKey("x-gone") || seen.Headers.ContainsKey("x-absent"));
        Assert.Equal(("route", "own,two,cluster,route", "100%", "nl", "body"), (seen.Headers["x-who"], seen.Headers["x-list"].Replace(" ", "", StringComparison.Ordinal), seen.Headers["x-new"], seen.Headers["content-language"], seen.Body));
        Assert.Equal(["1"], request.Headers.GetValues("X-Gone"));
        Assert.Equal(["own", "two"], request.Headers.GetValues("X-List"));
        Assert.Equal(["caller"], request.Headers.GetValues("X-Who"));
        Assert.Equal(["de"], request.Content.Headers.ContentLanguage);
        Assert.False(request.Headers.Contains("x-new"));
        Assert.False(response.Headers.Contains("Server"));
        Assert.Equal("text/x", response.Content.Headers.ContentType!.ToString());
        Assert.Equal(["cluster"], response.Headers.GetValues("x-from"));
    }

    [Fact]
    public async Task Retry_OfASteeredCall_SendsTheRewrittenRequestAgain()
    {
        _service.Answering = context =>
        {
            context.Response.StatusCode = _service.Seen["a"].Count == 1 ? 503 : 200;
            return Task.CompletedTask;
        };
        var route = SteeredService.Route(f => f with
        {
            PathRewrite = new PathRewrite.Full("/new"),
            Retry = new RetryPolicy(RetryOn.ServerError, 2, null, TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(1), []),
        }) with
        { RequestHeaders = Changes(("x-a", "1", HeaderChangeKind.Append)) };
        _service.Serve(route);

        using var request = new HttpRequestMessage(HttpMethod.Put, "http://catalog/old") { Content = new StringContent("again") };
        using var response = await _service.Program.Client().SendAsync(request, Cancel);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal([("/new", "1", "again"), ("/new", "1", "again")], _service.Seen["a"].Select(s => (s.Target, s.Headers["x-a"], s.Body)));
        Assert.Equal("/old", request.RequestUri!.AbsolutePath);
        Assert.False(request.Headers.Contains("x-a"));
    }

    [Fact]
    public async Task Request_SentAgainFromFurtherOut_IsSteeredOnceEachTime()
    {
        _service.Serve(SteeredService.Route(f => f with { PathRewrite = new PathRewrite.Pattern(new TextRewrite(new Regex("^"), "/in")), HostRewrite = "inner" })
            with
        { RequestHeaders = Changes(("x-a", "1", HeaderChangeKind.Append)) });
        using var invoker = new HttpMessageInvoker(new Twice(_service.Program.Services));
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/p");
        using var response = await invoker.SendAsync(request, Cancel);

        Assert.Equal([("/in/p", "inner", "1"), ("/in/p", "inner", "1")], _service.Seen["a"].Select(s => (s.Target, s.Host, s.Headers["x-a"])));
    }

    [Fact]
    public async Task Redirect_ClientThatFollows_EndsAtTheOtherPlace()
    {
        _service.Serve(
            new Route("moved", new RouteMatch(new StringMatcher(StringMatchKind.PathPrefix, "/old"), [], null), new RouteAction.Redirect(308) { Path = new PathRewrite.Prefix("/new") }),
            SteeredService.Route());

        using var response = await _service.Program.Client().PostAsync(new Uri("http://catalog/old/x?q=1"), new StringContent("kept"), Cancel);

        Assert.Equal("a", await response.Content.ReadAsStringAsync(Cancel));
        var seen = Assert.Single(_service.Seen["a"]);
        Assert.Equal(("POST", "/new/x?q=1", "kept"), (seen.Method, seen.Target, seen.Body));
        Assert.Contains("redirect:308", _service.Decided);
    }

    [Theory]
    [InlineData("http://catalog/a?b=1", null, null, null, false, "http://catalog/a?b=1")]
    [InlineData("http://catalog:8080/a?b=1", "https", null, null, true, "https://catalog/a")]
    [InlineData("http://catalog:8080/a", null, "other", null, false, "http://other/a")]
    [InlineData("http://catalog:8080/a", null, null, 81, false, "http://catalog:81/a")]
    [InlineData("http://catalog/a", "https", "other", 8443, false, "https://other:8443/a")]
    [InlineData("http://catalog:8080/a", "http", null, null, false, "http://catalog:8080/a")]
    public void Redirect_Location_IsTheCallersButForWhatTheRouteSays(string from, string? scheme, string? host, int? port, bool strip, string expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, from);
        var location = Outbound.Steps.SteerStep.Location(new RouteAction.Redirect(301) { Scheme = scheme, Host = host, Port = port, StripQuery = strip }, new RouteMatch(null, [], null), request);
        Assert.Equal(expected, location.AbsoluteUri);
    }

    [Fact]
    public async Task DirectResponse_GetsTheRoutesResponseHeaders_AndNobodyIsAsked()
    {
        _service.Serve(new Route("teapot", new RouteMatch(null, [], null), new RouteAction.DirectResponse(418, "{}")) { ResponseHeaders = Changes(("content-type", "application/json", HeaderChangeKind.Set)) });

        using var response = await _service.Program.Client().GetAsync(new Uri("http://catalog/"), Cancel);

        Assert.Equal((418, "application/json", "{}"), ((int)response.StatusCode, response.Content.Headers.ContentType!.ToString(), await response.Content.ReadAsStringAsync(Cancel)));
        Assert.Equal(["direct_response:418"], _service.Decided);
        Assert.Empty(_service.Seen["a"]);
    }

    [Fact]
    [Trait("gRFC", "A28")]
    public async Task Grpc_RedirectIsUnavailable_HeadersAreSteered()
    {
        _service.Serve(
            new Route("moved", new RouteMatch(new StringMatcher(StringMatchKind.Exact, "/test.Echo/Server"), [], null), new RouteAction.Redirect(301)),
            SteeredService.Route() with { ResponseHeaders = Changes(("x-from", "mesh", HeaderChangeKind.Set)) });
        using var channel = MeshChannel.ForAddress("xds:///catalog", _service.Program.Services);
        using var call = channel.CreateCallInvoker().AsyncServerStreamingCall(EchoService.ServerMethod, null, new CallOptions(cancellationToken: Cancel), "x");
        var error = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(Cancel));
        Assert.Equal(StatusCode.Unavailable, error.StatusCode);

        using var unary = channel.CreateCallInvoker().AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "hello");
        Assert.Equal("hello", await unary.ResponseAsync);
        Assert.Equal("mesh", (await unary.ResponseHeadersAsync).GetValue("x-from"));
    }

    private static HeaderChanges Changes(params (string Name, string Value, HeaderChangeKind Kind)[] changes) => new([.. changes.Select(c => new HeaderChange(c.Name, c.Value, c.Kind))]);

    /// <summary>A handler further out that sends the same request again, as retrying ones do.</summary>
    private sealed class Twice(IServiceProvider services) : DelegatingHandler(MeshHandlers.Create(services, null)!)
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            (await base.SendAsync(request, cancellationToken)).Dispose();
            return await base.SendAsync(request, cancellationToken);
        }
    }
}
