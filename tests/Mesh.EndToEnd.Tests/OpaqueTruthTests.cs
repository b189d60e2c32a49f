using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Security;
using System.Net.Sockets;
using System.Text.Json;
using Mesh.Identity;
using Mesh.Outbound;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>What the control plane and <c>mesh</c> say of connections to opaque ports is what both ends counted: of an app behind its sidecar, and of an app that serves such a port itself.</summary>
public sealed class OpaqueTruthTests
{
    private static readonly IPEndPoint Vault = new(IPAddress.Parse("10.96.0.21"), 9000);
    private static readonly IPEndPoint Ledger = new(IPAddress.Parse("10.96.0.22"), 9001);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ConnectionsAndBytes_OfOpaquePorts_AreExactByPair()
    {
        var (vaultPort, ledgerPort) = (RunningMesh.FreePort(), RunningMesh.FreePort());
        await using var mesh = await RunningMesh.StartAsync(
            ("vault.yaml", Service("vault", Vault, vaultPort).Replace("name: vault, namespace: shop }", "name: vault, namespace: shop, annotations: { meshlib.io/opaque-ports: \"9000\" } }", StringComparison.Ordinal)),
            ("ledger.yaml", Service("ledger", Ledger, ledgerPort) + """

                ---
                apiVersion: policy.meshlib.io/v1alpha1
                kind: ServerPolicy
                metadata: { name: ledger, namespace: shop }
                spec:
                  targetRefs: [{ group: "", kind: Service, name: ledger }]
                  protocol: Opaque

                """));
        await using var plain = await PlainAsync();
        await using var vault = await RunningSidecar.StartAsync(mesh, "vault", new IPEndPoint(IPAddress.Loopback, new Uri(plain.Urls.Single()).Port), vaultPort, IPAddress.Loopback);
        await using var side = await RunningSidecar.StartAsync(mesh, "side", Vault, RunningMesh.FreePort(), IPAddress.Parse("127.0.0.9"));
        var ledgerCame = 0;
        await mesh.StartServiceAsync("ledger", ledgerPort, _ => { }, b => b.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, ledgerPort, l => l.Run(c =>
        {
            Interlocked.Increment(ref ledgerCame);
            return ServeAsync(c);
        }))));
        var library = await mesh.StartServiceAsync("lib", RunningMesh.FreePort(), _ => { });
        await mesh.WaitUntilMeshedAsync("vault", "ledger");
        var from = TimeProvider.System.GetUtcNow() - TimeSpan.FromMinutes(5);

        // An app by its sidecar: connections one after the other and beside each other, and one that stays.
        var bySide = new Carried();
        await Task.WhenAll(Enumerable.Range(1, 6).Select(i => DialAsync(side.Outbound, 1_000 * i, 70_000 + i, bySide)));
        await DialAsync(side.Outbound, 0, 1, bySide);
        using var held = await ConnectAsync(side.Outbound);
        using var holding = new NetworkStream(held);
        await ExchangeAsync(holding, 11, 22, bySide);
        await TellsAsync(mesh, from, "side", "vault", "client", bySide, ended: 7, opened: 8, open: 1);
        held.Shutdown(SocketShutdown.Both);

        // By the library's connector and identity, to the endpoint that the sidecar was told: libraries are told of no TCP routes.
        var byLibrary = new Carried();
        var dialled = await side.Services.GetRequiredService<OutboundPipeline>().ResolveAsync(new ListenerKey(Vault.Address.ToString(), Vault.Port), Token);
        var cluster = dialled.Listener!.Tcp!.Pick(null, new Random(1))!;
        var endpoint = Assert.IsType<OutboundEndpoint>(Assert.Single(cluster.Balancer.Endpoints));
        var identity = await library.Services.GetRequiredService<IWorkloadIdentitySource>().GetAsync(Token);
        for (var i = 1; i <= 3; i++)
        {
            await using var stream = await library.Services.GetRequiredService<MeshConnector>().ConnectAsync(endpoint.Config, cluster.Config, identity, HopProtocol.Tcp, permit: null, Token);
            await ExchangeAsync(stream, 100_000 * i, 5 * i, byLibrary);
            await Assert.IsType<SslStream>(stream).ShutdownAsync();
        }

        // The app's own opaque port, from outside of the mesh.
        var byNobody = new Carried();
        await DialAsync(new IPEndPoint(IPAddress.Loopback, ledgerPort), 4_096, 123_456, byNobody);
        await DialAsync(new IPEndPoint(IPAddress.Loopback, ledgerPort), 3, 0, byNobody);
        Assert.Equal(2, ledgerCame);

        foreach (var view in new[] { "client", "server" })
        {
            await TellsAsync(mesh, from, "side", "vault", view, bySide, ended: 8, opened: 8, open: 0);
        }

        await TellsAsync(mesh, from, "lib", "vault", "server", byLibrary, ended: 3, opened: 3, open: 0);
        await TellsAsync(mesh, from, "unmeshed", "ledger", "server", byNobody, ended: 2, opened: 2, open: 0);

        // An app of ours takes HTTP alone in mesh TLS: such bytes are not sent to it in the clear either.
        side.GoingTo = Ledger;
        using (var refused = await ConnectAsync(side.Outbound))
        {
            await refused.SendAsync(new byte[8], Token);
            Assert.True(await IsClosedAsync(refused));
        }

        await TellsAsync(mesh, from, "side", "ledger", "client", new Carried(), ended: 1, opened: 0, open: 0);
        Assert.Equal(2, ledgerCame);
        await ShownAsync(mesh, from, bySide);
    }

    /// <summary>On the command line, of the same time.</summary>
    private static async Task ShownAsync(RunningMesh mesh, DateTimeOffset from, Carried carried)
    {
        var to = TimeProvider.System.GetUtcNow();
        var whole = await GoldenAsync(mesh, from, to, "source=side&destination=vault");
        var seconds = (whole.GetProperty("to").GetDateTimeOffset() - whole.GetProperty("from").GetDateTimeOffset()).TotalSeconds;
        string[] asked = ["-o", "wide", "--from", Iso(from), "--to", Iso(to), "--server", mesh.Http, "--token", mesh.AdminToken];
        var stat = await Cli.RunAsync(["stat", .. asked]);
        Assert.True(stat.Exit == 0, stat.Errors);
        string[] rates = [(carried.Forth / seconds).ToString("0.0", CultureInfo.InvariantCulture) + "B/s", (carried.Back / seconds).ToString("0.0", CultureInfo.InvariantCulture) + "B/s"];
        // No call was made: nothing is said of success, and what is secured is.
        Assert.Equal(["side", "vault", "shop", "shop", "-", "-", "-", "-", "-", "-", "100.00%", "-", "0", .. rates], Row(stat.Output, "side", "vault"));

        var edges = await Cli.RunAsync(["edges", .. asked]);
        Assert.True(edges.Exit == 0, edges.Errors);
        Assert.Equal(["spiffe://cluster.local/ns/shop/sa/side", "spiffe://cluster.local/ns/shop/sa/vault"], Row(edges.Output, "side", "vault")[4..6]);
        Assert.Equal(rates, Row(edges.Output, "side", "vault")[^2..]);
        Assert.Equal("unmeshed", Row(edges.Output, "unmeshed", "ledger")[0]);
    }

    private static string[] Row(string table, string source, string destination) =>
        table.Split('\n').Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Single(r => r is [var from, var to, ..] && from == source && to == destination);

    private static async Task TellsAsync(RunningMesh mesh, DateTimeOffset from, string source, string destination, string view, Carried carried, int ended, int opened, int open)
    {
        JsonElement told = default;
        (long, long, long, long, long) Told() => told.ValueKind != JsonValueKind.Object ? default
            : (Of("connections"), Of("opened_connections"), Of("open_connections"), Of("received_bytes"), Of("sent_bytes"));
        long Of(string name) => told.GetProperty(name).GetInt64();
        (long, long, long, long, long) expected = (ended, opened, open, carried.Forth, carried.Back);
        await Eventually.Async(
            async () =>
            {
                var answer = await GoldenAsync(mesh, from, TimeProvider.System.GetUtcNow() + TimeSpan.FromSeconds(10), $"source={source}&destination={destination}&view={view}");
                told = answer.GetProperty("items").EnumerateArray().SingleOrDefault();
                return Told() == expected;
            },
            $"{source} to {destination} is told by {view}",
            TimeSpan.FromSeconds(60)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Assert.Equal((source, destination, view, expected), (source, destination, view, Told()));
        Assert.Equal((0, 0), (Of("requests"), Of("failures")));
    }

    private static Task<JsonElement> GoldenAsync(RunningMesh mesh, DateTimeOffset from, DateTimeOffset to, string query) =>
        mesh.Api.GetFromJsonAsync<JsonElement>($"/api/v1/golden?by=pair&{query}&from={Uri.EscapeDataString(Iso(from))}&to={Uri.EscapeDataString(Iso(to))}", Token);

    private static string Iso(DateTimeOffset at) => at.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);

    private static string Service(string name, IPEndPoint address, int port) =>
        RunningMesh.ServiceYaml(name, address.Port, port).Replace("spec:\n", $"spec:\n  clusterIPs: [{address.Address}]\n", StringComparison.Ordinal);

    /// <summary>A server of bytes that knows nothing of the mesh.</summary>
    private static async Task<WebApplication> PlainAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.Run(ServeAsync)));
        var app = builder.Build();
        await app.StartAsync(Token);
        return app;
    }

    /// <summary>Takes as many bytes as the first number says, and answers with as many as the second.</summary>
    private static async Task ServeAsync(ConnectionContext connection)
    {
        var (input, output, buffer) = (connection.Transport.Input.AsStream(), connection.Transport.Output.AsStream(), new byte[16_384]);
        try
        {
            while (await input.ReadAtLeastAsync(buffer.AsMemory(0, 8), 8, throwOnEndOfStream: false) == 8)
            {
                var (taken, given) = (BinaryPrimitives.ReadInt32BigEndian(buffer), BinaryPrimitives.ReadInt32BigEndian(buffer.AsSpan(4)));
                for (; taken > 0; taken -= await input.ReadAtLeastAsync(buffer.AsMemory(0, Math.Min(taken, buffer.Length)), 1))
                {
                }

                await output.WriteAsync(new byte[given]);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The other side went.
        }
    }

    private static async Task DialAsync(IPEndPoint at, int forth, int back, Carried carried)
    {
        using var socket = await ConnectAsync(at);
        using var stream = new NetworkStream(socket);
        await ExchangeAsync(stream, forth, back, carried);
        socket.Shutdown(SocketShutdown.Send);
        Assert.True(await IsClosedAsync(socket));
    }

    private static async Task<Socket> ConnectAsync(IPEndPoint at)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(at, Token);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task ExchangeAsync(Stream stream, int forth, int back, Carried carried)
    {
        var sent = new byte[8 + forth];
        BinaryPrimitives.WriteInt32BigEndian(sent, forth);
        BinaryPrimitives.WriteInt32BigEndian(sent.AsSpan(4), back);
        await stream.WriteAsync(sent, Token);
        await stream.FlushAsync(Token);
        await stream.ReadExactlyAsync(new byte[back], Token);
        carried.Add(sent.Length, back);
    }

    /// <summary>Nothing comes any more.</summary>
    private static async Task<bool> IsClosedAsync(Socket socket)
    {
        try
        {
            return await socket.ReceiveAsync(new byte[1], Token).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token) == 0;
        }
        catch (SocketException)
        {
            return true;
        }
    }

    /// <summary>Bytes that both ends of connections have seen. Thread-safe.</summary>
    private sealed class Carried
    {
        private long _forth;
        private long _back;

        public long Forth => Interlocked.Read(ref _forth);

        public long Back => Interlocked.Read(ref _back);

        public void Add(long forth, long back)
        {
            Interlocked.Add(ref _forth, forth);
            Interlocked.Add(ref _back, back);
        }
    }
}
