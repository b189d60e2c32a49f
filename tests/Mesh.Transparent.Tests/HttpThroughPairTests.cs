using System.Net;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Mesh.Transparent.Tests;

/// <summary>HTTP of every kind: client → its sidecar → mesh TLS → the server's sidecar → server.</summary>
public sealed class HttpThroughPairTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Http11_ArrivesAsWritten_OverMeshTls()
    {
        var (app, address) = await SidecarPair.AppAsync(a => a.Map("/{**path}", async (HttpContext c) =>
        {
            using var reader = new StreamReader(c.Request.Body);
            var body = await reader.ReadToEndAsync();
            c.Response.Headers["x-seen"] = $"{c.Request.Protocol} {c.Request.Method} {c.Features.Get<IHttpRequestFeature>()!.RawTarget} {c.Request.Host} {c.Request.Headers["mesh-client-id"]} [{c.Request.Headers["mesh-orig-proto"]}] {c.Request.Headers["x-own"]}";
            await c.Response.WriteAsync("got " + body);
        }));
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var client = pair.Http();

        using var request = new HttpRequestMessage(HttpMethod.Put, "/a/b%2Fc?x=1&y=%20") { Content = new StringContent("hello"), Headers = { { "x-own", "yes" } } };
        using var response = await client.SendAsync(request, Cancel);

        Assert.Equal("got hello", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal("HTTP/1.1 PUT /a/b%2Fc?x=1&y=%20 cart.shop spiffe://cluster.local/ns/shop/sa/web [] yes", response.Headers.GetValues("x-seen").Single());
        Assert.Equal(HttpVersion.Version11, response.Version);
        Assert.Equal(1, pair.Client.Count(MeshTags.ClientCallDuration, (MeshTags.Destination, "cart"), (MeshTags.Tls, "mesh")));
        Assert.Equal(1, pair.Server.Count(MeshTags.ServerCallDuration, (MeshTags.Source, "web"), (MeshTags.Tls, "mesh")));
    }

    [Fact]
    public async Task Http2_StaysHttp2_WithTrailers()
    {
        var (app, address) = await SidecarPair.AppAsync(
            a => a.Map("/{**path}", async (HttpContext c) =>
            {
                c.Response.DeclareTrailer("x-sum");
                await c.Response.WriteAsync(c.Request.Protocol);
                c.Response.AppendTrailer("x-sum", "7");
            }),
            HttpProtocols.Http2);
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var client = pair.Http(HttpVersion.Version20);

        using var response = await client.GetAsync("/", Cancel);

        Assert.Equal("HTTP/2", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal("7", response.TrailingHeaders.GetValues("x-sum").Single());
    }

    [Fact]
    public async Task Bodies_OfEverySizeBothWays_AreTheSame()
    {
        var (app, address) = await SidecarPair.AppAsync(a => a.MapPost("/", async (HttpContext c) =>
        {
            c.Response.ContentLength = c.Request.ContentLength;
            await c.Request.Body.CopyToAsync(c.Response.Body);
        }));
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var client = pair.Http();
        foreach (var size in (int[])[0, 1, 16 * 1024, 64 * 1024, 64 * 1024 + 1, 5_000_000])
        {
            var bytes = new byte[size];
            new Random(size).NextBytes(bytes);
            using var declared = await client.PostAsync("/", new ByteArrayContent(bytes), Cancel);
            Assert.Equal(bytes, await declared.Content.ReadAsByteArrayAsync(Cancel));
            using var chunked = await client.SendAsync(new HttpRequestMessage(HttpMethod.Post, "/") { Content = new ByteArrayContent(bytes), Headers = { TransferEncodingChunked = true } }, Cancel);
            Assert.Equal(bytes, await chunked.Content.ReadAsByteArrayAsync(Cancel));
        }
    }
}
