using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Xunit;

namespace Mesh.Transparent.Tests;

/// <summary>What HTTP/1 has beyond a request and its answer, written by hand through a pair of sidecars.</summary>
public sealed class Http1DetailsTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static Task<(WebApplication App, IPEndPoint Address)> EchoAsync() => SidecarPair.AppAsync(a => a.Map("/{**path}", async (HttpContext c) =>
    {
        using var reader = new StreamReader(c.Request.Body);
        var body = await reader.ReadToEndAsync();
        await c.Response.WriteAsync($"{c.Request.Protocol} {c.Request.Method} {c.Features.Get<IHttpRequestFeature>()!.RawTarget} {c.Request.Host} te={c.Request.Headers.TransferEncoding} {body}");
    }));

    [Fact]
    public async Task KeepAlive_SecondRequestOnTheSameConnection_IsServed()
    {
        var (app, address) = await EchoAsync();
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.SendAsync("GET /one HTTP/1.1\r\nHost: cart\r\n\r\n", Cancel);
        await raw.ReadUntilAsync("/one cart", Cancel);
        raw.Clear();
        await raw.SendAsync("POST /two HTTP/1.1\r\nHost: other\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", Cancel);

        Assert.Contains("HTTP/1.1 POST /two other te=chunked abc", await raw.ReadUntilAsync("abc", Cancel));
    }

    [Fact]
    public async Task KeepAlive_ConnectionThatIsIdleForSeconds_StaysOpen()
    {
        var (app, address) = await EchoAsync();
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));
        await raw.SendAsync("GET /one HTTP/1.1\r\nHost: cart\r\n\r\n", Cancel);
        await raw.ReadUntilAsync("/one cart", Cancel);

        // Kestrel looks at its connections once a second.
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        patience.CancelAfter(TimeSpan.FromSeconds(2.5));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => raw.ReadToEndAsync(patience.Token));
    }

    [Fact]
    public async Task Http10_ArrivesAsHttp10_AndCloses()
    {
        var (app, address) = await EchoAsync();
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.SendAsync("GET /old HTTP/1.0\r\nHost: cart\r\n\r\n", Cancel);

        Assert.Contains("HTTP/1.0 GET /old", await raw.ReadToEndAsync(Cancel));
    }

    [Fact]
    public async Task AbsoluteForm_ArrivesAsAbsoluteForm()
    {
        var (app, address) = await EchoAsync();
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.SendAsync("GET http://cart.shop/abs?q=1 HTTP/1.1\r\nHost: cart.shop\r\n\r\n", Cancel);

        Assert.Contains("HTTP/1.1 GET http://cart.shop/abs?q=1 cart.shop", await raw.ReadUntilAsync("q=1", Cancel));
    }

    [Fact]
    public async Task OptionsOfTheServer_IsRefused_AsItCannotBeWrittenOn()
    {
        var (app, address) = await EchoAsync();
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.SendAsync("OPTIONS * HTTP/1.1\r\nHost: cart\r\n\r\n", Cancel);

        Assert.StartsWith("HTTP/1.1 501", await raw.ReadUntilAsync("\r\n\r\n", Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Expect100Continue_BodyIsAskedForByTheApp()
    {
        var asked = new TaskCompletionSource();
        var (app, address) = await SidecarPair.AppAsync(a => a.MapPost("/", async (HttpContext c) =>
        {
            Assert.Equal("100-continue", c.Request.Headers.Expect);
            asked.TrySetResult();
            using var reader = new StreamReader(c.Request.Body);
            return "got " + await reader.ReadToEndAsync();
        }));
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.SendAsync("POST / HTTP/1.1\r\nHost: cart\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", Cancel);
        Assert.StartsWith("HTTP/1.1 100", await raw.ReadUntilAsync("\r\n\r\n", Cancel), StringComparison.Ordinal);
        await asked.Task.WaitAsync(TimeSpan.FromSeconds(10), Cancel);
        await raw.SendAsync("hello", Cancel);

        Assert.Contains("got hello", await raw.ReadUntilAsync("got hello", Cancel));
    }

    [Fact]
    public async Task Head_HasTheLengthAndNoBody()
    {
        var (app, address) = await SidecarPair.AppAsync(a => a.MapMethods("/", ["HEAD", "GET"], (HttpContext c) =>
        {
            c.Response.ContentLength = 5;
            return HttpMethods.IsHead(c.Request.Method) ? Task.CompletedTask : c.Response.WriteAsync("12345");
        }));
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.SendAsync("HEAD / HTTP/1.1\r\nHost: cart\r\n\r\nGET / HTTP/1.1\r\nHost: cart\r\nConnection: close\r\n\r\n", Cancel);

        var all = await raw.ReadToEndAsync(Cancel);
        Assert.Equal(3, all.Split("Content-Length: 5").Length);
        Assert.EndsWith("12345", all, StringComparison.Ordinal);
        Assert.Equal(2, all.Split("12345").Length);
    }

    [Fact]
    public async Task Upgrade_CarriesBytesBothWays_UntilEitherSideEnds()
    {
        await using var server = new TcpServer(async (socket, cancel) =>
        {
            using var raw = new RawHttp(socket);
            var request = await raw.ReadUntilAsync("\r\n\r\n", cancel);
            Assert.Contains("Upgrade: echo", request, StringComparison.OrdinalIgnoreCase);
            Assert.StartsWith("GET /chat HTTP/1.1", request, StringComparison.Ordinal);
            await raw.SendAsync("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello ", cancel);
            raw.Clear();
            await raw.ReadUntilAsync("ping", cancel);
            await raw.SendAsync("pong", cancel);
        });
        await using var pair = await SidecarPair.StartAsync(server.Address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.SendAsync("GET /chat HTTP/1.1\r\nHost: cart\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", Cancel);
        Assert.StartsWith("HTTP/1.1 101", await raw.ReadUntilAsync("hello ", Cancel), StringComparison.Ordinal);
        await raw.SendAsync("ping", Cancel);

        Assert.EndsWith("hello pong", await raw.ReadToEndAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task BrokenAnswer_DoesNotLookWhole()
    {
        await using var server = new TcpServer(async (socket, cancel) =>
        {
            using var raw = new RawHttp(socket);
            await raw.ReadUntilAsync("\r\n\r\n", cancel);
            await raw.SendAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", cancel);
        });
        await using var pair = await SidecarPair.StartAsync(server.Address);
        using var client = pair.Http();

        await Assert.ThrowsAnyAsync<HttpRequestException>(() => client.GetStringAsync("/", Cancel));
    }

    [Fact]
    public async Task AppThatIsNotThere_Is502WithTheReason()
    {
        IPEndPoint gone;
        await using (var server = new TcpServer((_, _) => Task.CompletedTask))
        {
            gone = server.Address;
        }

        await using var pair = await SidecarPair.StartAsync(gone);
        using var client = pair.Http();

        using var response = await client.GetAsync("/", Cancel);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal("Connect", response.Headers.GetValues("mesh-error").Single());
    }

    [Fact]
    public async Task Streaming_FirstBytesArriveBeforeTheLastAreWritten()
    {
        var go = new TaskCompletionSource();
        var (app, address) = await SidecarPair.AppAsync(a => a.MapGet("/", async (HttpContext c) =>
        {
            await c.Response.WriteAsync("first");
            await c.Response.Body.FlushAsync();
            await go.Task;
            await c.Response.WriteAsync(" last");
        }));
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var client = pair.Http();

        using var response = await client.GetAsync("/", HttpCompletionOption.ResponseHeadersRead, Cancel);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancel));
        var buffer = new char[5];
        await reader.ReadBlockAsync(buffer, Cancel);
        Assert.Equal("first", new string(buffer));
        go.SetResult();

        Assert.Equal(" last", await reader.ReadToEndAsync(Cancel));
    }

    [Fact]
    public async Task InProcessPeer_SeesHttp2_AndNoHeaderOfTheSidecars()
    {
        // A peer that is no sidecar: the version in which the request was written is not told.
        var (app, address) = await EchoAsync();
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        pair.Client.Config.Set(SidecarHarness.Service(SidecarPair.Dialled, [SidecarHarness.Meshed(pair.Server.Inbound, pair.Ca, "cart", isSidecar: false)]));
        using var client = pair.Http();

        // The app behind takes HTTP/1 alone, and the server's sidecar was told nothing: HTTP/2 is what arrives, and fails.
        using var response = await client.GetAsync("/", Cancel);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
    }
}
