using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Xunit;

namespace Mesh.Transparent.Tests;

/// <summary>What a sidecar refuses, passes on, waits for and how it ends.</summary>
public sealed class SidecarBehaviourTests : IDisposable
{
    private readonly TestCa _ca = new("cluster.local");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Fact]
    public async Task Egress_HttpPassesAsItIs_AndIsMeteredByHost()
    {
        var (app, address) = await SidecarPair.AppAsync(a => a.Map("/{**path}", (HttpContext c) =>
            $"{c.Request.Protocol} {c.Features.Get<IHttpRequestFeature>()!.RawTarget} {c.Request.Host} [{c.Request.Headers["mesh-orig-proto"]}]"));
        await using var _ = app;
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "web", address);
        using var raw = new RawHttp(await DialAsync(sidecar.Outbound));

        await raw.SendAsync("GET /out?q HTTP/1.1\r\nHost: api.example.com\r\nmesh-orig-proto: HTTP/1.0\r\n\r\n", Cancel);

        Assert.Contains("HTTP/1.1 /out?q api.example.com []", await raw.ReadUntilAsync("[]", Cancel));
        await Eventually.Async(() => sidecar.Count(MeshTags.ClientCallDuration, (MeshTags.Destination, "api.example.com"), (MeshTags.Tls, "none")) == 1, "the call is counted");
    }

    [Fact]
    public async Task Egress_BytesPassToWhereTheyWereGoing()
    {
        await using var server = new TcpServer(OpaqueThroughPairTests.EchoAsync);
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "web", server.Address);
        using var raw = new RawHttp(await DialAsync(sidecar.Outbound));

        await raw.SendAsync("\u0001x", Cancel);

        Assert.Equal("\u0001x", await raw.ReadUntilAsync("x", Cancel));
    }

    [Fact]
    public async Task EgressDenied_HttpIs403_GrpcIsPermissionDenied_BytesAreCutOff()
    {
        await using var server = new TcpServer(OpaqueThroughPairTests.EchoAsync);
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "web", server.Address, o => o with { Egress = EgressMode.Deny });
        using var raw = new RawHttp(await DialAsync(sidecar.Outbound));
        await raw.SendAsync("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n", Cancel);
        var answer = await raw.ReadUntilAsync("outside of the mesh", Cancel);
        Assert.StartsWith("HTTP/1.1 403", answer, StringComparison.Ordinal);
        Assert.Contains("mesh-error: Forbidden", answer);

        using var grpc = new RawHttp(await DialAsync(sidecar.Outbound));
        await grpc.SendAsync("POST /a.B/C HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n", Cancel);
        Assert.Contains("grpc-status: 7", await grpc.ReadUntilAsync("\r\n\r\n", Cancel), StringComparison.OrdinalIgnoreCase);

        using var bytes = new RawHttp(await DialAsync(sidecar.Outbound));
        await bytes.SendAsync("\u0001x", Cancel);
        await Assert.ThrowsAsync<SocketException>(() => bytes.ReadToEndAsync(Cancel));
        Assert.Equal(0, server.Accepted);
    }

    [Fact]
    public async Task ServiceWhoseEndpointIsThisPod_IsCalledWithoutTls()
    {
        var (app, address) = await SidecarPair.AppAsync(a => a.MapGet("/", (HttpContext c) => $"{c.Request.Protocol} [{c.Request.Headers["mesh-orig-proto"]}]"));
        await using var _ = app;
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "cart", SidecarPair.Dialled, o => o with { InstanceIps = [IPAddress.Loopback] });
        sidecar.Config.Set(SidecarHarness.Service(SidecarPair.Dialled, [SidecarHarness.Meshed(address, _ca, "cart")]));
        using var raw = new RawHttp(await DialAsync(sidecar.Outbound));

        await raw.SendAsync("GET / HTTP/1.1\r\nHost: cart\r\n\r\n", Cancel);

        Assert.Contains("HTTP/1.1 []", await raw.ReadUntilAsync("[]", Cancel));
    }

    [Fact]
    public async Task ProxyItself_IsNoDestination()
    {
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "web", destination: null);
        foreach (var port in (IPEndPoint[])[sidecar.Outbound, sidecar.Inbound])
        {
            await Assert.ThrowsAsync<SocketException>(() => DialAndReadAsync(port));
        }

        // Turned here by rules, but to one of its own ports: a connection to there would come back for ever.
        await using var other = await SidecarHarness.StartAsync(_ca, "web", new IPEndPoint(IPAddress.Loopback, 4191), o => o with { AdminListen = [new IPEndPoint(IPAddress.Loopback, 4191)] });
        foreach (var port in (IPEndPoint[])[other.Outbound, other.Inbound])
        {
            await Assert.ThrowsAsync<SocketException>(() => DialAndReadAsync(port));
        }

        Assert.Contains(other.Logs.GetSnapshot(), l => l.Message.Contains("(loop)", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Inbound_ForAnotherMachine_IsNotRelayed()
    {
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "cart", new IPEndPoint(IPAddress.Parse("192.0.2.1"), 80));

        await Assert.ThrowsAsync<SocketException>(() => DialAndReadAsync(sidecar.Inbound));

        Assert.Contains(sidecar.Logs.GetSnapshot(), l => l.Message.Contains("not_ours", StringComparison.Ordinal));
    }

    [Fact]
    public async Task LateMeshTls_NeverReachesTheApp()
    {
        var heard = new TaskCompletionSource<string>();
        await using var server = new TcpServer(async (socket, cancel) =>
        {
            using var raw = new RawHttp(socket);
            await raw.SendAsync("220 ready\r\n", cancel);
            try
            {
                heard.SetResult(await raw.ReadToEndAsync(cancel));
            }
            catch (SocketException)
            {
                heard.SetResult(raw.Read);
            }
        });
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "cart", server.Address);
        using var socket = await DialAsync(sidecar.Inbound);
        using (var raw = new RawHttp(socket))
        {
            await raw.ReadUntilAsync("220 ready\r\n", Cancel);
            await using var tls = new SslStream(new NetworkStream(socket));
            var id = SpiffeId.ForServiceAccount(_ca.TrustDomain, "shop", "cart");
            await Assert.ThrowsAnyAsync<IOException>(() => tls.AuthenticateAsClientAsync(MeshTls.ForClient(_ca.Identity("shop", "web"), id, HopProtocol.Tcp, _ => { }), Cancel));
        }

        Assert.Equal(string.Empty, await heard.Task.WaitAsync(TimeSpan.FromSeconds(10), Cancel));
        await Eventually.Async(() => sidecar.Logs.GetSnapshot().Any(l => l.Message.Contains("late_tls", StringComparison.Ordinal)), "it is told");
    }

    [Fact]
    public async Task NoConfiguration_HttpIsTold_AfterTheWait()
    {
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "web", SidecarPair.Dialled);
        sidecar.Config.Set(MeshSnapshot.Empty with
        {
            Listeners = MeshSnapshot.Empty.Listeners.Add(SidecarPair.Dialled.ToString(), new ListenerResult.Unavailable("the test says so")),
        });
        using var raw = new RawHttp(await DialAsync(sidecar.Outbound));
        await raw.SendAsync("GET / HTTP/1.1\r\nHost: cart\r\n\r\n", Cancel);

        var answer = await raw.ReadUntilAsync("the test says so", Cancel);

        Assert.StartsWith("HTTP/1.1 503", answer, StringComparison.Ordinal);
        Assert.Contains("mesh-error: NoConfiguration", answer);
    }

    [Fact]
    public async Task Ready_OnlyWithCertificateAndPolicy()
    {
        var ports = PortList.Of(8080);
        await using var sidecar = await SidecarHarness.StartAsync(
            _ca, "cart", SidecarPair.Dialled, o => o with { InboundPorts = ports, InstanceIps = [IPAddress.Parse("10.1.2.3")] }, hasIdentity: false);
        sidecar.Config.Set(MeshSnapshot.Empty with
        {
            Listeners = MeshSnapshot.Empty.Listeners.Add("meshlib/inbound?address=10.1.2.3:8080", new ListenerResult.Unavailable("not yet")),
        });
        using var client = new HttpClient { BaseAddress = new Uri($"http://{sidecar.Admin}") };
        using (var first = await client.GetAsync("/ready", Cancel))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, first.StatusCode);
            Assert.Contains("no certificate: the test has given none", await first.Content.ReadAsStringAsync(Cancel));
        }

        sidecar.Identity.Set(_ca.Identity("shop", "cart"));
        sidecar.Config.Set(MeshSnapshot.Empty);
        await Eventually.Async(async () => (await client.GetAsync("/ready", Cancel)).StatusCode == HttpStatusCode.OK, "it is ready");
    }

    [Fact]
    public async Task RequestsWithoutIdentity_WaitForIt()
    {
        var (app, address) = await SidecarPair.AppAsync(a => a.MapGet("/", () => "served"));
        await using var _ = app;
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "cart", address, hasIdentity: false);
        using var raw = new RawHttp(await DialAsync(sidecar.Inbound));
        await raw.SendAsync("GET / HTTP/1.1\r\nHost: cart\r\n\r\n", Cancel);
        sidecar.Identity.Set(_ca.Identity("shop", "cart"));

        Assert.Contains("served", await raw.ReadUntilAsync("served", Cancel));
    }

    [Fact]
    public async Task StrictPort_SilentStranger_CostsTheAppNoConnection()
    {
        await using var strictServer = new TcpServer(OpaqueThroughPairTests.EchoAsync);
        await using var strict = await SidecarHarness.StartAsync(_ca, "cart", strictServer.Address);
        var name = "meshlib/inbound?address=" + strictServer.Address;
        strict.Config.Set(MeshSnapshot.Empty with
        {
            Listeners = MeshSnapshot.Empty.Listeners.Add(name, new ListenerResult.Found(
                new Listener(name) { FilterChains = [new("mesh-tls", TransportProtocol.Tls, MeshTls: true, RequireClientCertificate: true) { IsOpaque = true }] }, null)),
        });
        await using var permissiveServer = new TcpServer(OpaqueThroughPairTests.EchoAsync);
        await using var permissive = await SidecarHarness.StartAsync(_ca, "cart", permissiveServer.Address);
        using var silent = await DialAsync(strict.Inbound);

        // The clock: three who came later, one after the other, and were connected for their silence.
        for (var i = 1; i <= 3; i++)
        {
            using var later = await DialAsync(permissive.Inbound);
            await Eventually.Async(() => permissiveServer.Accepted == i, "a silent client of a permissive port is connected");
        }

        Assert.Equal(0, strictServer.Accepted);
    }

    [Fact]
    public async Task StrictPort_TakesMeshTlsAlone()
    {
        await using var server = new TcpServer(OpaqueThroughPairTests.EchoAsync);
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "cart", server.Address);
        var name = "meshlib/inbound?address=" + server.Address;
        sidecar.Config.Set(MeshSnapshot.Empty with
        {
            Listeners = MeshSnapshot.Empty.Listeners.Add(name, new ListenerResult.Found(
                new Listener(name) { FilterChains = [new("mesh-tls", TransportProtocol.Tls, MeshTls: true, RequireClientCertificate: true) { IsOpaque = true }] }, null)),
        });
        foreach (var first in (string[])["\u0001bytes", "GET / HTTP/1.1\r\nHost: cart\r\n\r\n"])
        {
            using var plain = new RawHttp(await DialAsync(sidecar.Inbound));
            await plain.SendAsync(first, Cancel);
            try
            {
                Assert.Equal(string.Empty, await plain.ReadToEndAsync(Cancel));
            }
            catch (SocketException)
            {
                // Cut off.
            }
        }

        Assert.Equal(0, server.Accepted);
        using var socket = await DialAsync(sidecar.Inbound);
        await using var tls = new SslStream(new NetworkStream(socket));
        await tls.AuthenticateAsClientAsync(MeshTls.ForClient(_ca.Identity("shop", "web"), SpiffeId.ForServiceAccount(_ca.TrustDomain, "shop", "cart"), HopProtocol.Tcp, _ => { }), Cancel);
        await tls.WriteAsync(Encoding.ASCII.GetBytes("hi"), Cancel);
        var buffer = new byte[2];
        await tls.ReadExactlyAsync(buffer, Cancel);
        Assert.Equal("hi"u8.ToArray(), buffer);
    }

    [Fact]
    public async Task Drain_RequestInFlightEnds_ConnectionIsClosed_AppsOwnCallsStillWork()
    {
        var begun = new TaskCompletionSource();
        var go = new TaskCompletionSource();
        var (app, address) = await SidecarPair.AppAsync(a =>
        {
            a.MapGet("/idle", () => "idle");
            a.MapGet("/", async () =>
            {
                begun.TrySetResult();
                await go.Task;
                return "done";
            });
        });
        await using var _ = app;
        await using var outside = new TcpServer(OpaqueThroughPairTests.EchoAsync);
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "cart", address);
        using var raw = new RawHttp(await DialAsync(sidecar.Inbound));
        await raw.SendAsync("GET / HTTP/1.1\r\nHost: cart\r\n\r\n", Cancel);
        await begun.Task.WaitAsync(TimeSpan.FromSeconds(10), Cancel);
        using var idle = new RawHttp(await DialAsync(sidecar.Inbound));
        await idle.SendAsync("GET /idle HTTP/1.1\r\nHost: cart\r\n\r\n", Cancel);
        await idle.ReadUntilAsync("idle", Cancel);
        sidecar.Redirection.Destination = outside.Address;
        using var own = new RawHttp(await DialAsync(sidecar.Outbound));
        await own.SendAsync("\u0001a", Cancel);
        await own.ReadUntilAsync("a", Cancel);

        var stopping = sidecar.StopAsync(CancellationToken.None);
        // Idle connections close at once.
        await idle.ReadToEndAsync(Cancel);
        Assert.Contains("it is draining", sidecar.Sidecar.NotReadyBecause());
        Assert.False(stopping.IsCompleted);
        go.SetResult();
        var answer = await raw.ReadToEndAsync(Cancel);
        Assert.Contains("done", answer);
        Assert.Contains("Connection: close", answer, StringComparison.OrdinalIgnoreCase);
        await own.SendAsync("b", Cancel);
        await own.ReadUntilAsync("ab", Cancel);
        Assert.False(stopping.IsCompleted);
        own.Socket.Close();

        await stopping.WaitAsync(TimeSpan.FromSeconds(10), Cancel);
    }

    [Fact]
    public async Task Drain_WhatDoesNotEndInTime_IsBrokenOff()
    {
        await using var server = new TcpServer(OpaqueThroughPairTests.EchoAsync);
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "cart", server.Address, o => o with { DrainTimeout = TimeSpan.FromMilliseconds(200) });
        using var raw = new RawHttp(await DialAsync(sidecar.Inbound));
        await raw.SendAsync("\u0001a", Cancel);
        await raw.ReadUntilAsync("a", Cancel);

        await sidecar.StopAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(10), Cancel);

        await Assert.ThrowsAsync<SocketException>(() => raw.ReadToEndAsync(Cancel));
    }

    [Fact]
    public async Task Metrics_ShowWhatWasDetectedAndRefused()
    {
        await using var server = new TcpServer(OpaqueThroughPairTests.EchoAsync);
        await using var sidecar = await SidecarHarness.StartAsync(_ca, "cart", server.Address);
        using (var raw = new RawHttp(await DialAsync(sidecar.Inbound)))
        {
            await raw.SendAsync("\u0001abc", Cancel);
            await raw.ReadUntilAsync("abc", Cancel);
        }

        using var client = new HttpClient { BaseAddress = new Uri($"http://{sidecar.Admin}") };
        await Eventually.Async(
            async () => (await client.GetStringAsync("/metrics", Cancel)) is var text
                && text.Contains("mesh_proxy_connections_total{mesh_direction=\"inbound\",network_protocol_name=\"opaque\"} 1", StringComparison.Ordinal)
                && text.Contains("mesh_proxy_io_bytes_total{mesh_direction=\"inbound\",network_io_direction=\"receive\"} 4", StringComparison.Ordinal),
            "the connection and its bytes are shown");
    }

    private static async Task DialAndReadAsync(IPEndPoint address)
    {
        using var raw = new RawHttp(await DialAsync(address));
        await raw.ReadToEndAsync(Cancel);
    }

    private static async Task<Socket> DialAsync(IPEndPoint address)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(address, Cancel);
        return socket;
    }
}
