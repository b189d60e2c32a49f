using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Config;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.Transparent.Tests;

/// <summary>Bytes of any protocol: client → its sidecar → mesh TLS → the server's sidecar → server.</summary>
public sealed class OpaqueThroughPairTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static double Open(CounterTotals totals, string gauge) => totals.ReadGauges(out _).Where(g => g.Instrument.Name == gauge).Sum(g => g.Value);

    private static long Total(CounterTotals totals, string counter, string? direction = null) =>
        totals.All.Where(c => c.Name == counter && (direction is null || c.Tags.Contains(new(MeshTags.IoDirection, direction)))).Sum(c => c.Total);

    [Fact]
    public async Task ClientSpeaksFirst_IsEchoed_OverMeshTls()
    {
        await using var server = new TcpServer(EchoAsync);
        await using var pair = await SidecarPair.StartAsync(server.Address);
        using var client = new CounterTotals(meters: pair.Client.Services.GetRequiredService<IMeterFactory>());
        using var called = new CounterTotals(meters: pair.Server.Services.GetRequiredService<IMeterFactory>());
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.SendAsync("*1\r\n$4\r\nPING\r\n", Cancel);

        Assert.Equal("*1\r\n$4\r\nPING\r\n", await raw.ReadUntilAsync("PING\r\n", Cancel));
        Assert.Equal((1, 1), (Open(client, MeshTags.ClientConnectionOpen), Open(called, MeshTags.ServerConnectionOpen)));
        raw.Socket.Shutdown(SocketShutdown.Both);
        await Eventually.Async(() => (Open(client, MeshTags.ClientConnectionOpen), Open(called, MeshTags.ServerConnectionOpen)) == (0, 0), "no connection is open any more");
        // Both sides saw both ways, for the pair.
        Assert.Equal((1, 14, 14), (Total(client, MeshTags.ClientConnectionOpened), Total(client, MeshTags.ClientConnectionIo, "transmit"), Total(client, MeshTags.ClientConnectionIo, "receive")));
        Assert.Equal((1, 14, 14), (Total(called, MeshTags.ServerConnectionOpened), Total(called, MeshTags.ServerConnectionIo, "receive"), Total(called, MeshTags.ServerConnectionIo, "transmit")));
        Assert.Contains(new(MeshTags.Destination, "cart"), client.All.Single(c => c.Name == MeshTags.ClientConnectionOpened).Tags);
        Assert.Contains(new(MeshTags.Source, "web"), called.All.Single(c => c.Name == MeshTags.ServerConnectionOpened).Tags);
        await Eventually.Async(() => pair.Client.Count(MeshTags.ClientConnectionDuration, (MeshTags.Tls, "mesh"), (MeshTags.Outcome, "success")) == 1, "the connection is counted");
        await Eventually.Async(() => pair.Server.Count(MeshTags.ServerConnectionDuration, (MeshTags.Tls, "mesh"), (MeshTags.Source, "web")) == 1, "the connection is counted");
    }

    [Fact]
    public async Task ServerSpeaksFirst_OnAPortThatNobodyDeclared_Works()
    {
        await using var server = new TcpServer(async (socket, cancel) =>
        {
            using var raw = new RawHttp(socket);
            await raw.SendAsync("220 ready\r\n", cancel);
            await raw.ReadUntilAsync("HELO", cancel);
            await raw.SendAsync("250 hi\r\n", cancel);
        });
        await using var pair = await SidecarPair.StartAsync(server.Address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.ReadUntilAsync("220 ready\r\n", Cancel);
        await raw.SendAsync("HELO me\r\n", Cancel);

        Assert.Equal("220 ready\r\n250 hi\r\n", await raw.ReadToEndAsync(Cancel));
        Assert.Equal(1, server.Accepted);
    }

    [Fact]
    public async Task HalfClose_ClientEndsFirst_AnswerStillArrives()
    {
        await using var server = new TcpServer(async (socket, cancel) =>
        {
            using var raw = new RawHttp(socket);
            var all = await raw.ReadToEndAsync(cancel);
            await raw.SendAsync($"{all.Length} bytes", cancel);
        });
        await using var pair = await SidecarPair.StartAsync(server.Address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.SendAsync("\u0001\u0002" + new string('x', 100_000), Cancel);
        raw.Socket.Shutdown(SocketShutdown.Send);

        Assert.Equal("100002 bytes", await raw.ReadToEndAsync(Cancel));
    }

    [Fact]
    public async Task HalfClose_ServerEndsFirst_ItStillReads()
    {
        var heard = new TaskCompletionSource<string>();
        await using var server = new TcpServer(async (socket, cancel) =>
        {
            using var raw = new RawHttp(socket);
            await raw.SendAsync("bye", cancel);
            socket.Shutdown(SocketShutdown.Send);
            heard.SetResult(await raw.ReadToEndAsync(cancel));
        });
        await using var pair = await SidecarPair.StartAsync(server.Address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        var got = await raw.ReadToEndAsync(Cancel);
        Assert.Equal("bye", got);
        await raw.SendAsync("still here", Cancel);
        raw.Socket.Shutdown(SocketShutdown.Send);

        Assert.Equal("still here", await heard.Task.WaitAsync(TimeSpan.FromSeconds(10), Cancel));
    }

    [Fact]
    public async Task ManyBytesBothWays_AreTheSame()
    {
        await using var server = new TcpServer(EchoAsync);
        await using var pair = await SidecarPair.StartAsync(server.Address);
        using var socket = await pair.ConnectAsync(Cancel);
        var bytes = new byte[20_000_000];
        new Random(1).NextBytes(bytes);
        bytes[0] = 0;

        var sending = Task.Run(async () =>
        {
            for (var sent = 0; sent < bytes.Length;)
            {
                sent += await socket.SendAsync(bytes.AsMemory(sent), Cancel);
            }

            socket.Shutdown(SocketShutdown.Send);
        }, Cancel);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[65536];
        while (await socket.ReceiveAsync(buffer, Cancel) is > 0 and var read)
        {
            hash.AppendData(buffer, 0, read);
        }

        await sending;
        Assert.Equal(SHA256.HashData(bytes), hash.GetHashAndReset());
    }

    [Fact]
    public async Task AppsOwnTls_PassesThroughInsideMeshTls()
    {
        using var certificate = SelfSigned();
        await using var server = new TcpServer(async (socket, cancel) =>
        {
            await using var tls = new SslStream(new NetworkStream(socket));
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = certificate }, cancel);
            await tls.WriteAsync("secret"u8.ToArray(), cancel);
            await tls.ShutdownAsync();
        });
        await using var pair = await SidecarPair.StartAsync(server.Address);
        using var socket = await pair.ConnectAsync(Cancel);
        await using var client = new SslStream(new NetworkStream(socket), false, (_, shown, _, _) => shown!.GetCertHashString() == certificate.GetCertHashString());

        await client.AuthenticateAsClientAsync("db.example", null, SslProtocols.Tls13, false);

        Assert.Equal("secret", await new StreamReader(client).ReadToEndAsync(Cancel));
        socket.Shutdown(SocketShutdown.Both);
        await Eventually.Async(() => pair.Client.Count(MeshTags.ClientConnectionDuration, (MeshTags.Tls, "mesh")) == 1, "the connection is counted");
    }

    [Fact]
    public async Task Connect_IsATunnelOfBytes()
    {
        await using var server = new TcpServer(async (socket, cancel) =>
        {
            using var raw = new RawHttp(socket);
            await raw.ReadUntilAsync("\r\n\r\n", cancel);
            await raw.SendAsync("HTTP/1.1 200 Connected\r\n\r\n", cancel);
            await raw.ReadUntilAsync("inside", cancel);
            await raw.SendAsync("answered", cancel);
        });
        await using var pair = await SidecarPair.StartAsync(server.Address);
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.SendAsync("CONNECT db.example:443 HTTP/1.1\r\nHost: db.example:443\r\n\r\n", Cancel);
        await raw.ReadUntilAsync("Connected\r\n\r\n", Cancel);
        await raw.SendAsync("inside", Cancel);

        Assert.EndsWith("answered", await raw.ReadToEndAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task DeadEndpoint_TheNextOneIsTaken()
    {
        await using var server = new TcpServer(EchoAsync);
        await using var pair = await SidecarPair.StartAsync(server.Address);
        IPEndPoint gone;
        await using (var closed = new TcpServer((_, _) => Task.CompletedTask))
        {
            gone = closed.Address;
        }

        pair.Client.Config.Set(SidecarHarness.Service(SidecarPair.Dialled, [SidecarHarness.Meshed(gone, pair.Ca, "cart"), SidecarHarness.Meshed(pair.Server.Inbound, pair.Ca, "cart")]));
        for (var i = 0; i < 10; i++)
        {
            using var raw = new RawHttp(await pair.ConnectAsync(Cancel));
            await raw.SendAsync("\u0001ping", Cancel);
            Assert.Equal("\u0001ping", await raw.ReadUntilAsync("ping", Cancel));
        }
    }

    [Fact]
    public async Task InProcessPeer_IsNotSentBytesInTheClear()
    {
        await using var server = new TcpServer(EchoAsync);
        await using var pair = await SidecarPair.StartAsync(server.Address);
        pair.Client.Config.Set(SidecarHarness.Service(SidecarPair.Dialled, [SidecarHarness.Meshed(server.Address, pair.Ca, "cart", isSidecar: false)]));
        using var raw = new RawHttp(await pair.ConnectAsync(Cancel));

        await raw.SendAsync("\u0001plain", Cancel);

        await Assert.ThrowsAsync<SocketException>(() => raw.ReadToEndAsync(Cancel));
        Assert.Equal(0, server.Accepted);
        Assert.Contains(pair.Client.Logs.GetSnapshot(), l => l.Message.Contains("takes HTTP alone over mesh TLS", StringComparison.Ordinal));
    }

    [Fact]
    public async Task SniPicksTheCluster_OthersAreRefusedWithTheReason()
    {
        using var certificate = SelfSigned();
        async Task ServeTlsAsync(Socket socket, CancellationToken cancel)
        {
            await using var tls = new SslStream(new NetworkStream(socket));
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = certificate }, cancel);
            await tls.ShutdownAsync();
        }

        await using var a = new TcpServer(ServeTlsAsync);
        await using var b = new TcpServer(ServeTlsAsync);
        using var ca = new TestCa("cluster.local");
        await using var client = await SidecarHarness.StartAsync(ca, "web", SidecarPair.Dialled);
        var both = SidecarHarness.Service(SidecarPair.Dialled, [new("127.0.0.1", a.Address.Port, 1, true)], http: false);
        var name = SidecarPair.Dialled.ToString();
        client.Config.Set(both with
        {
            Listeners = both.Listeners.SetItem(name, new ListenerResult.Found(
                new Listener(name)
                {
                    Tcp = [new TcpChain("x", ["a.example"], [new("outbound|80||cart.shop.svc.cluster.local", 1)]), new TcpChain("x", ["*.b.example"], [new("other", 1)])],
                },
                null)),
            Clusters = both.Clusters.Add("other", new ClusterResult.Found(
                new Cluster("other", "other", TimeSpan.FromSeconds(1)), new LoadAssignment("other", [new(new("", "", ""), 0, 1, [new("127.0.0.1", b.Address.Port, 1, true)])]))),
        });
        async Task<bool> HandshakeAsync(string sni)
        {
            using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(client.Outbound, Cancel);
            await using var tls = new SslStream(new NetworkStream(socket), false, (_, shown, _, _) => shown!.GetCertHashString() == certificate.GetCertHashString());
            try
            {
                await tls.AuthenticateAsClientAsync(sni);
                return true;
            }
            catch (Exception e) when (e is IOException or AuthenticationException)
            {
                return false;
            }
        }

        Assert.True(await HandshakeAsync("a.example"));
        Assert.Equal((1, 0), (a.Accepted, b.Accepted));
        Assert.True(await HandshakeAsync("one.b.example"));
        Assert.Equal((1, 1), (a.Accepted, b.Accepted));
        Assert.False(await HandshakeAsync("c.example"));
        Assert.Contains(client.Logs.GetSnapshot(), l => l.Message.Contains("'c.example'", StringComparison.Ordinal));
    }

    internal static async Task EchoAsync(Socket socket, CancellationToken cancel)
    {
        var buffer = new byte[65536];
        while (await socket.ReceiveAsync(buffer, cancel) is > 0 and var read)
        {
            for (var sent = 0; sent < read;)
            {
                sent += await socket.SendAsync(buffer.AsMemory(sent, read - sent), cancel);
            }
        }

        socket.Shutdown(SocketShutdown.Send);
    }

    private static X509Certificate2 SelfSigned()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new CertificateRequest("CN=db.example", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
    }
}
