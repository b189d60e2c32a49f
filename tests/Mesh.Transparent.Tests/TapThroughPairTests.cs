using System.Collections.Frozen;
using Mesh.Tap;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.Transparent.Tests;

/// <summary>Both sidecars show what passes through them, each from its side.</summary>
public sealed class TapThroughPairTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Request_TappedAtBothSidecars_IsSeenAtEach_WithoutSecretsAndQuery()
    {
        var (app, address) = await SidecarPair.AppAsync(a => a.Map("/{**path}", (HttpContext c) =>
        {
            c.Response.Headers["x-session-token"] = "geheim";
            c.Response.Headers["x-seen"] = "yes";
            return c.Request.Path == "/fail" ? Results.StatusCode(503) : Results.Text("ok");
        }));
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var client = pair.Http();
        var (outbound, inbound) = (Point(pair.Client), Point(pair.Server));
        using (var before = await client.GetAsync("/before", Cancel))
        {
            Assert.True(before.IsSuccessStatusCode);
        }

        outbound.Start(Settings(new TapSide("", "", []), null));
        inbound.Start(Settings(null, new TapSide("web", "shop", [])));
        using (var request = new HttpRequestMessage(HttpMethod.Get, "/fail?password=geheim") { Headers = { { "x-user", "ann" }, { "Authorization", "Bearer geheim" }, { "Cookie", "a=geheim" } } })
        using (var response = await client.SendAsync(request, Cancel))
        {
            await response.Content.ReadAsStringAsync(Cancel);
        }

        var (caller, callee) = (await NextAsync(outbound), await NextAsync(inbound));

        Assert.Equal((false, "cart", "GET", "/fail", 503, true, true), (caller.Server, caller.PeerName, caller.Method, caller.Path, caller.Status, caller.Failed, caller.MeshTls));
        Assert.Equal((true, "web", "shop", "spiffe://cluster.local/ns/shop/sa/web", "GET", "/fail", 503, true, true),
            (callee.Server, callee.PeerName, callee.PeerNamespace, callee.PeerIdentity, callee.Method, callee.Path, callee.Status, callee.Failed, callee.MeshTls));
        foreach (var seen in new[] { caller, callee })
        {
            Assert.Equal("ann", seen.RequestHeaders["x-user"]);
            Assert.Equal("…", seen.ResponseHeaders["x-seen"]);
            var all = string.Join('\n', seen.RequestHeaders.Concat(seen.ResponseHeaders).Select(h => $"{h.Key}={h.Value}").Append(seen.ToString()));
            Assert.DoesNotContain("geheim", all, StringComparison.Ordinal);
            Assert.DoesNotContain("cookie", all, StringComparison.OrdinalIgnoreCase);
        }

        Assert.False(outbound.TryTake(out ActiveTap _, out TapExchange _));
        // The server saw every attempt of the one call.
        for (var attempt = 2; attempt <= caller.Attempts; attempt++)
        {
            await NextAsync(inbound);
        }

        Assert.False(inbound.TryTake(out ActiveTap _, out TapExchange _));
    }

    [Fact]
    public async Task Stream_ThatDoesNotEnd_IsSeenAtBothSidecarsWhileItGoesOn_AndItsEndIsTheSameOne()
    {
        var (app, address) = await SidecarPair.AppAsync(a => a.Map("/fail", async (HttpContext c) =>
        {
            c.Response.Headers["x-seen"] = "yes";
            await c.Response.WriteAsync("first", c.RequestAborted);
            await c.Response.Body.FlushAsync(c.RequestAborted);
            await Task.Delay(Timeout.Infinite, c.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }));
        await using var _ = app;
        await using var pair = await SidecarPair.StartAsync(address);
        using var client = pair.Http();
        (TapPoint Point, TapSettings Settings)[] sides =
            [(Point(pair.Client), Settings(new TapSide("", "", []), null) with { Opens = true }), (Point(pair.Server), Settings(null, new TapSide("", "", [])) with { Opens = true })];
        foreach (var (point, settings) in sides)
        {
            point.Start(settings);
        }

        using (var request = new HttpRequestMessage(HttpMethod.Get, "/fail?password=geheim") { Headers = { { "x-user", "ann" }, { "Authorization", "Bearer geheim" } } })
        using (await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel))
        {
            foreach (var (point, _) in sides)
            {
                var open = await NextAsync(point);
                Assert.Equal(("GET", "/fail", 200, true, false, true), (open.Method, open.Path, open.Status, open.Open, open.Failed, open.Stream > 0));
                Assert.True(open.Latency >= OpenExchange.Patience);
                Assert.Equal(("ann", "…"), (open.RequestHeaders["x-user"], open.ResponseHeaders["x-seen"]));
                Assert.DoesNotContain("authorization", open.RequestHeaders.Keys);
            }
        }

        foreach (var (point, _) in sides)
        {
            var end = await NextAsync(point);
            Assert.Equal(("/fail", false, 1L), (end.Path, end.Open, end.Stream));
            Assert.False(point.TryTake(out ActiveTap _, out TapExchange _));
        }
    }

    private static TapPoint Point(SidecarHarness sidecar) => sidecar.Services.GetRequiredService<TapPoint>();

    private static async Task<TapExchange> NextAsync(TapPoint point)
    {
        TapExchange? seen = null;
        await Testing.Eventually.Async(
            () =>
            {
                // No control plane is there whose stream would do it.
                point.ShowOpen();
                return point.TryTake(out ActiveTap _, out seen);
            },
            "the exchange is seen");
        return seen!;
    }

    private static TapSettings Settings(TapSide? client, TapSide? server) =>
        new("t", client, server, "", "/fail", default, TimeSpan.Zero, 100, FrozenSet.ToFrozenSet(["x-user", "authorization"], StringComparer.OrdinalIgnoreCase));
}
