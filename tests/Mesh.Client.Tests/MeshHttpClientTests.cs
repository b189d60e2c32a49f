using System.Net;
using System.Text;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.Client.Tests;

public sealed class MeshHttpClientTests : IAsyncLifetime
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly List<Backend> _backends = [];
    private MeshedProgram _program = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _program = new MeshedProgram(_ca);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _program.DisposeAsync();
        foreach (var backend in _backends)
        {
            await backend.DisposeAsync();
        }

        _ca.Dispose();
    }

    [Fact]
    public async Task Get_MeshedService_RidesHttp2OverMutualTlsAndLooksAsWritten()
    {
        var backend = await MeshedAsync(context => context.Response.WriteAsync(
            $"{context.Request.Protocol} {context.Request.Scheme} {context.Request.Host} {context.Connection.ClientCertificate is not null}"));
        _program.Serve("catalog", [backend.Endpoint]);
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/items?x=1");

        using var response = await _program.Client().SendAsync(request, Cancel);

        Assert.Equal("HTTP/2 http catalog True", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Same(request, response.RequestMessage);
        Assert.Equal("http://catalog/items?x=1", request.RequestUri!.OriginalString);
        Assert.Equal(HttpVersion.Version11, response.Version);
        Assert.Equal("text/plain", response.Content.Headers.ContentType?.MediaType ?? "text/plain");
    }

    [Theory]
    [InlineData("https://catalog/")]
    [InlineData("https+http://catalog/")]
    public async Task Get_OtherSchemes_AreOneMeshHop(string url)
    {
        var backend = await MeshedAsync();
        _program.Serve("catalog", [backend.Endpoint]);

        Assert.Equal("ok", await _program.Client().GetStringAsync(url, Cancel));
        Assert.Equal(1, backend.Requests);
    }

    [Fact]
    public async Task Get_PlaintextEndpoint_IsHttp11WithoutTls()
    {
        var backend = await PlainAsync(context => context.Response.WriteAsync(context.Request.Protocol));
        _program.Serve("catalog", [backend.Endpoint]);

        Assert.Equal("HTTP/1.1", await _program.Client().GetStringAsync("http://catalog/", Cancel));
    }

    [Fact]
    public async Task Get_ExactlyHttp11_StaysHttp11()
    {
        var backend = await MeshedAsync(context => context.Response.WriteAsync(context.Request.Protocol));
        _program.Serve("catalog", [backend.Endpoint]);
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/") { VersionPolicy = HttpVersionPolicy.RequestVersionExact };

        using var response = await _program.Client().SendAsync(request, Cancel);

        Assert.Equal("HTTP/1.1", await response.Content.ReadAsStringAsync(Cancel));
    }

    [Fact]
    public async Task Get_UnknownAndImpossibleHosts_GoTheirOwnWay()
    {
        var outside = await PlainAsync();
        _program.Serve("catalog", []);

        Assert.Equal("ok", await _program.Client().GetStringAsync($"http://127.0.0.1:{outside.Port}/", Cancel));
        Assert.Equal("ok", await _program.Client().GetStringAsync($"http://localhost:{outside.Port}/", Cancel));
        var error = await Assert.ThrowsAsync<HttpRequestException>(() => _program.Client().GetAsync("http://no-such-service/", Cancel));
        Assert.Equal(HttpRequestError.NameResolutionError, error.HttpRequestError);
        Assert.Contains("no-such-service", _program.Config.Snapshots.Current.Listeners.Keys);
        Assert.DoesNotContain(_program.Config.Snapshots.Current.Listeners.Keys, k => k.StartsWith("localhost", StringComparison.Ordinal) || k.StartsWith("127", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Get_WrongSpiffeId_IsRefusedAndSaysWhoAnswered()
    {
        var backend = await MeshedAsync();
        _program.Serve("catalog", [backend.Endpoint with { SpiffeId = Mesh.Spiffe.SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/someone-else") }]);

        var error = await Assert.ThrowsAsync<HttpRequestException>(() => _program.Client().GetAsync("http://catalog/", Cancel));

        Assert.Contains("spiffe://cluster.local/ns/shop/sa/catalog", error.Message, StringComparison.Ordinal);
        Assert.Contains("someone-else", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, backend.Requests);
    }

    [Fact]
    public async Task Get_MeshedEndpointThatSpeaksPlaintext_IsNeverSentInTheClear()
    {
        var backend = await PlainAsync();
        _program.Serve("catalog", [backend.Endpoint with { Tls = EndpointTls.Mesh, SpiffeId = _ca.Identity("shop", "catalog").Svid.Id, SpeaksHttp2 = true }]);

        await Assert.ThrowsAsync<HttpRequestException>(() => _program.Client().GetAsync("http://catalog/", Cancel));
        Assert.Equal(0, backend.Requests);
    }

    [Fact]
    public async Task Get_NoHealthyEndpoint_Is503ThatNamesTheCluster()
    {
        _program.Serve("catalog", [new Mesh.Config.Endpoint("127.0.0.1", 1, 1, Healthy: false)]);

        using var response = await _program.Client().GetAsync("http://catalog/", Cancel);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Contains("outbound|80||catalog.shop", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_EndpointKilledUnderLoad_FailsNoCall()
    {
        var backends = new[] { await MeshedAsync(), await MeshedAsync(), await MeshedAsync() };
        _program.Serve("catalog", [.. backends.Select(b => b.Endpoint)]);
        var client = _program.Client();
        using var stop = new CancellationTokenSource();
        var (done, failures) = (0, new List<string>());
        var load = Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    Assert.Equal("ok", await client.GetStringAsync("http://catalog/", Cancel));
                    Interlocked.Increment(ref done);
                }
                catch (Exception e)
                {
                    lock (failures)
                    {
                        failures.Add(e.ToString());
                    }
                }
            }
        }, Cancel)).ToArray();

        await Eventually.Async(() => Volatile.Read(ref done) > 200 && backends.All(b => b.Requests > 0), "load on all three");
        await backends[1].KillAsync();
        var at = Volatile.Read(ref done);
        await Eventually.Async(() => Volatile.Read(ref done) > at + 500, "load goes on");
        await stop.CancelAsync();
        await Task.WhenAll(load);

        Assert.Empty(failures);
    }

    [Fact]
    public async Task Get_IdentityRotatesUnderLoad_DropsNothing()
    {
        var serverIdentity = new FixedIdentitySource(_ca.Identity("shop", "catalog"));
        var seen = new HashSet<string>();
        var backend = await StartAsync(serverIdentity, context =>
        {
            lock (seen)
            {
                seen.Add(context.Connection.ClientCertificate!.SerialNumber);
            }

            return context.Response.WriteAsync("ok");
        });
        _program.Serve("catalog", [backend.Endpoint]);
        var client = _program.Client();
        using var stop = new CancellationTokenSource();
        var done = 0;
        var load = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                Assert.Equal("ok", await client.GetStringAsync("http://catalog/", Cancel));
                Interlocked.Increment(ref done);
            }
        }, Cancel)).ToArray();

        for (var generation = 2; generation <= 4; generation++)
        {
            var at = Volatile.Read(ref done);
            await Eventually.Async(() => Volatile.Read(ref done) > at + 50 || load.Any(l => l.IsCompleted), "load");
            serverIdentity.Replace(_ca.Identity("shop", "catalog", generation: generation));
            _program.Identity.Replace(_ca.Identity("shop", "storefront", generation: generation));
        }

        await Eventually.Async(() => seen.Count >= 4 || load.Any(l => l.IsCompleted), "every generation is used");
        await stop.CancelAsync();
        await Task.WhenAll(load);
    }

    [Theory]
    [InlineData("GET", 2)]
    [InlineData("POST", 1)]
    public async Task Send_503_IsRetriedElsewhereOnlyWhenIdempotent(string method, int attempts)
    {
        var answered = 0;
        Task Handler(HttpContext context)
        {
            context.Response.StatusCode = Interlocked.Increment(ref answered) == 1 ? 503 : 200;
            return Task.CompletedTask;
        }

        var (a, b) = (await MeshedAsync(Handler), await MeshedAsync(Handler));
        _program.Serve("catalog", [a.Endpoint, b.Endpoint]);
        using var request = new HttpRequestMessage(new HttpMethod(method), "http://catalog/") { Content = method == "POST" ? new StringContent("x") : null };

        using var response = await _program.Client().SendAsync(request, Cancel);

        Assert.Equal(method == "GET" ? HttpStatusCode.OK : HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(attempts, a.Requests + b.Requests);
        Assert.Equal(attempts == 2 ? 1 : 0, Math.Min(a.Requests, b.Requests));
    }

    [Theory]
    [InlineData("GET", true)]
    [InlineData("POST", false)]
    public async Task Send_ConnectionReset_IsRetriedOnlyWhenIdempotent(string method, bool succeeds)
    {
        var first = 0;
        Task Handler(HttpContext context)
        {
            if (Interlocked.Exchange(ref first, 1) == 0)
            {
                context.Abort();
            }

            return Task.CompletedTask;
        }

        var (a, b) = (await MeshedAsync(Handler), await MeshedAsync(Handler));
        _program.Serve("catalog", [a.Endpoint, b.Endpoint]);
        using var request = new HttpRequestMessage(new HttpMethod(method), "http://catalog/") { Content = method == "POST" ? new StringContent("x") : null };

        var send = _program.Client().SendAsync(request, Cancel);

        if (succeeds)
        {
            Assert.Equal(HttpStatusCode.OK, (await send).StatusCode);
        }
        else
        {
            await Assert.ThrowsAsync<HttpRequestException>(() => send);
            Assert.Equal(1, a.Requests + b.Requests);
        }
    }

    [Fact]
    public async Task Post_ConnectFailure_IsSentToAnotherEndpointOnceAndWhole()
    {
        var bodies = new List<string>();
        var good = await MeshedAsync(async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            bodies.Add(await reader.ReadToEndAsync());
        });
        var dead = await MeshedAsync();
        var endpoint = dead.Endpoint;
        await dead.KillAsync();
        _program.Serve("catalog", [endpoint, good.Endpoint]);

        for (var i = 0; i < 20; i++)
        {
            using var content = new StreamContent(new MemoryStream(Encoding.UTF8.GetBytes($"body {i}")));
            using var response = await _program.Client().PostAsync("http://catalog/", content, Cancel);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"body {i}"), bodies);
    }

    [Fact]
    public async Task Put_UnseekableBodyAnd503_IsReplayedFromTheKeptBytes()
    {
        var bodies = new List<string>();
        var backend = await MeshedAsync(async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            bodies.Add(await reader.ReadToEndAsync());
            context.Response.StatusCode = bodies.Count == 1 ? 503 : 200;
        });
        _program.Serve("catalog", [backend.Endpoint]);
        using var content = new OnceContent("only once");

        using var response = await _program.Client().PutAsync("http://catalog/", content, Cancel);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(["only once", "only once"], bodies);
        Assert.Same(content, response.RequestMessage!.Content);
    }

    [Fact]
    public async Task Get_RouteTimeout_Is504()
    {
        var backend = await MeshedAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        _program.Serve("catalog", [backend.Endpoint], new RouteAction.Forward([new("outbound|80||catalog.shop.svc.cluster.local", 1)]) { Timeout = TimeSpan.FromMilliseconds(100) });

        using var response = await _program.Client().GetAsync("http://catalog/", Cancel);

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Equal("TimedOut", response.Headers.GetValues("mesh-error").Single());
    }

    [Fact]
    public async Task Get_RouteTimeoutWhileTheBodyStreams_AbortsTheBody()
    {
        var backend = await MeshedAsync(async context =>
        {
            await context.Response.WriteAsync("begin");
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        });
        _program.Serve("catalog", [backend.Endpoint], new RouteAction.Forward([new("outbound|80||catalog.shop.svc.cluster.local", 1)]) { Timeout = TimeSpan.FromSeconds(2) });

        using var response = await _program.Client().GetAsync("http://catalog/", HttpCompletionOption.ResponseHeadersRead, Cancel);

        await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsStringAsync(Cancel));
        Assert.False(Cancel.IsCancellationRequested);
        Assert.Equal(1, _program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Failure)));
    }

    [Fact]
    public async Task Get_CallerCancels_IsACancellation()
    {
        var backend = await MeshedAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));
        _program.Serve("catalog", [backend.Endpoint]);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var send = _program.Client().GetAsync("http://catalog/", cancel.Token);
        await Eventually.Async(() => backend.Requests == 1, "the request arrived");

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => send);
    }

    [Fact]
    public async Task Get_MoreInFlightThanMaxRequests_Is503AtOnce()
    {
        var release = new TaskCompletionSource();
        var backend = await MeshedAsync(_ => release.Task);
        _program.Serve("catalog", [backend.Endpoint], change: c => c with { MaxRequests = 1 });
        var first = _program.Client().GetAsync("http://catalog/", Cancel);
        await Eventually.Async(() => backend.Requests == 1, "the first is in flight");

        using var second = await _program.Client().GetAsync("http://catalog/", Cancel);
        release.SetResult();

        Assert.Equal(HttpStatusCode.ServiceUnavailable, second.StatusCode);
        Assert.Equal("Overloaded", second.Headers.GetValues("mesh-error").Single());
        Assert.Equal(HttpStatusCode.OK, (await first).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await _program.Client().GetAsync("http://catalog/", Cancel)).StatusCode);
    }

    [Fact]
    public async Task Get_CallerCancels_GivesItsPlaceBack()
    {
        var backend = await MeshedAsync(context => context.Request.Path == "/slow" ? Task.Delay(Timeout.Infinite, context.RequestAborted) : context.Response.WriteAsync("ok"));
        _program.Serve("catalog", [backend.Endpoint], change: c => c with { MaxRequests = 1 });
        for (var i = 1; i <= 3; i++)
        {
            using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
            var send = _program.Client().GetAsync("http://catalog/slow", cancel.Token);
            await Eventually.Async(() => backend.Requests == i, "the request arrived");
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => send);
        }

        Assert.Equal("ok", await _program.Client().GetStringAsync("http://catalog/", Cancel));
    }

    [Fact]
    public async Task Send_HeadOr204NotDisposed_GivesItsPlaceBack()
    {
        var backend = await MeshedAsync(context =>
        {
            context.Response.StatusCode = HttpMethods.IsHead(context.Request.Method) ? 200 : 204;
            context.Response.ContentLength = HttpMethods.IsHead(context.Request.Method) ? 7 : null;
            return Task.CompletedTask;
        });
        _program.Serve("catalog", [backend.Endpoint], change: c => c with { MaxRequests = 1 });

        foreach (var method in (HttpMethod[])[HttpMethod.Head, HttpMethod.Get, HttpMethod.Head])
        {
            var response = await _program.Client().SendAsync(new HttpRequestMessage(method, "http://catalog/"), HttpCompletionOption.ResponseHeadersRead, Cancel);
            Assert.Equal(method == HttpMethod.Head ? HttpStatusCode.OK : HttpStatusCode.NoContent, response.StatusCode);
            Assert.Equal(method == HttpMethod.Head ? 7 : 0, response.Content.Headers.ContentLength ?? 0);
        }
    }

    [Fact]
    public async Task Get_ResponseDroppedUnread_EndsWhenItIsCollected()
    {
        var backend = await MeshedAsync(async context =>
        {
            await context.Response.WriteAsync("begun");
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
        });
        _program.Serve("catalog", [backend.Endpoint], change: c => c with { MaxRequests = 1 });

        await DropAsync(_program.Client());

        await Eventually.Async(
            () =>
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                return _program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Cancelled)) == 1;
            },
            "the dropped call ended");
        await DropAsync(_program.Client());

        static async Task DropAsync(HttpClient client) =>
            Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("http://catalog/", HttpCompletionOption.ResponseHeadersRead, Cancel)).StatusCode);
    }

    [Fact]
    public async Task Get_CookieSetOutsideTheMesh_IsSentBackOnce()
    {
        var outside = await PlainAsync(context =>
        {
            context.Response.Headers.SetCookie = "a=b; Path=/";
            return context.Response.WriteAsync(context.Request.Headers.Cookie.ToString());
        });
        _program.Serve("catalog", []);
        var client = _program.Client();
        var url = $"http://127.0.0.1:{outside.Port}/";

        Assert.Equal("", await client.GetStringAsync(url, Cancel));
        Assert.Equal("a=b", await client.GetStringAsync(url, Cancel));
        using var request = new HttpRequestMessage(HttpMethod.Get, url) { Headers = { { "Cookie", "c=d" } } };
        using var response = await client.SendAsync(request, Cancel);
        Assert.Equal("c=d; a=b", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal("c=d", Assert.Single(request.Headers.GetValues("Cookie")));
    }

    [Fact]
    public async Task Get_Redirect_IsRoutedAnew()
    {
        var target = await MeshedAsync();
        var backend = await MeshedAsync(context =>
        {
            context.Response.Redirect("http://cart/there");
            context.Response.Headers.SetCookie = "a=b; Path=/";
            return Task.CompletedTask;
        });
        var catalog = MeshedProgram.Snapshot("catalog", new RouteAction.Forward([new("c1", 1)]), ("c1", [backend.Endpoint]));
        var cart = MeshedProgram.Snapshot("cart", new RouteAction.Forward([new("c2", 1)]), ("c2", [target.Endpoint]));
        _program.Config.Set(catalog with { Listeners = catalog.Listeners.AddRange(cart.Listeners), Clusters = catalog.Clusters.AddRange(cart.Clusters) });

        using var response = await _program.Client().GetAsync("http://catalog/", Cancel);

        Assert.Equal("ok", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal("http://cart/there", response.RequestMessage!.RequestUri!.ToString());
        Assert.Equal(1, target.Requests);
    }

    [Fact]
    public async Task Get_RetriedCall_IsOneCallAndTwoAttempts()
    {
        var answered = 0;
        Task Handler(HttpContext context)
        {
            context.Response.StatusCode = Interlocked.Increment(ref answered) == 1 ? 503 : 200;
            return context.Response.WriteAsync("body");
        }

        var backend = await MeshedAsync(Handler);
        _program.Serve("catalog", [backend.Endpoint]);

        await _program.Client().GetStringAsync("http://catalog/", Cancel);

        Assert.Equal(1, _program.Count(MeshTags.ClientAttemptDuration, (MeshTags.Outcome, "failure"), (MeshTags.Endpoint, $"127.0.0.1:{backend.Port}"), (MeshTags.Backend, "catalog")));
        Assert.Equal(1, _program.Count(MeshTags.ClientAttemptDuration, (MeshTags.Outcome, "success"), (MeshTags.Reached, "true")));
        Assert.Equal(1, _program.Count(MeshTags.ClientCallDuration, (MeshTags.Destination, "catalog"), (MeshTags.DestinationNamespace, "shop"), (MeshTags.Outcome, "success"), (MeshTags.Tls, "mesh")));
    }

    [Fact]
    public async Task Get_Weights90To10_AreKept()
    {
        var (v1, v2) = (await PlainAsync(), await PlainAsync());
        var one = MeshedProgram.Snapshot("pricing", new RouteAction.Forward([new("v1", 90), new("v2", 10)]), ("v1", [v1.Endpoint]));
        var two = MeshedProgram.Snapshot("x", new RouteAction.Forward([new("v2", 1)]), ("v2", [v2.Endpoint]));
        _program.Config.Set(one with { Clusters = one.Clusters.AddRange(two.Clusters) });

        for (var i = 0; i < 1000; i++)
        {
            await _program.Client().GetStringAsync("http://pricing/", Cancel);
        }

        Assert.InRange(v2.Requests, 60, 140);
    }

    private Task<Backend> MeshedAsync(Func<HttpContext, Task>? handler = null) => StartAsync(new FixedIdentitySource(_ca.Identity("shop", "catalog")), handler);

    private Task<Backend> PlainAsync(Func<HttpContext, Task>? handler = null) => StartAsync(null, handler);

    private async Task<Backend> StartAsync(IWorkloadIdentitySource? identity, Func<HttpContext, Task>? handler)
    {
        var backend = await Backend.StartAsync(identity, handler);
        _backends.Add(backend);
        return backend;
    }

    private sealed class OnceContent(string text) : HttpContent
    {
        private bool _sent;

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            Assert.False(_sent);
            _sent = true;
            return stream.WriteAsync(Encoding.UTF8.GetBytes(text)).AsTask();
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
