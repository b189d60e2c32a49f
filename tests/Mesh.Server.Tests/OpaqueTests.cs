using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Mesh.Config;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Xunit;
using static Mesh.Server.Tests.Rules;

namespace Mesh.Server.Tests;

/// <summary>Connections whose bytes only the app understands: an echo that speaks no HTTP, behind the mesh.</summary>
public sealed class OpaqueTests : IDisposable
{
    private static readonly SpiffeId _cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private static readonly RbacFilter Here = Allow(Rule("local", Any, From("127.0.0.0", 8)));
    private static readonly RbacFilter Elsewhere = Allow(Rule("others", Any, From("10.0.0.0", 8)));
    private readonly TestCa _ca = new("cluster.local");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Fact]
    public async Task Opaque_SourceIsAllowed_UntilThePolicyChanges()
    {
        await using var app = await EchoAsync();
        using var revoked = new MetricCollector<long>(app.Services.GetRequiredService<IMeterFactory>(), "Mesh", MeshTags.ServerConnectionsRevoked);
        Publish(app, Here);
        using var one = await DialAsync(app);
        using var other = await DialAsync(app);
        Assert.Equal("ab", await EchoAsync(one, "ab"));
        Assert.Equal("cd", await EchoAsync(other, "cd"));

        Publish(app, Here);
        Assert.Equal("ef", await EchoAsync(one, "ef"));
        Publish(app, Elsewhere);

        Assert.True(await IsClosedAsync(one));
        Assert.True(await IsClosedAsync(other));
        Assert.Equal(2, revoked.GetMeasurementSnapshot().Sum(m => m.Value));
        using var late = await DialAsync(app);
        Assert.Null(await EchoAsync(late, "gh"));
        Publish(app, Here);
        using var again = await DialAsync(app);
        Assert.Equal("ij", await EchoAsync(again, "ij"));
    }

    [Fact]
    public async Task Opaque_ConnectionsAndTheirBytes_AreCountedWhileTheyLive()
    {
        await using var app = await EchoAsync();
        using var counted = new CounterTotals(meters: app.Services.GetRequiredService<IMeterFactory>());
        Publish(app, Here);
        using (var one = await DialAsync(app))
        using (var other = await DialAsync(app))
        {
            Assert.Equal("ab", await EchoAsync(one, "ab"));
            Assert.Equal("cdefg", await EchoAsync(other, "cdefg"));

            Assert.Equal((2, 2), (Open(), Total(MeshTags.ServerConnectionOpened)));
            Assert.Equal((7, 7), (Total(MeshTags.ServerConnectionIo, "receive"), Total(MeshTags.ServerConnectionIo, "transmit")));
        }

        await Eventually.Async(() => Open() == 0, "both are closed");
        await Eventually.Async(
            () => app.Services.GetRequiredService<MetricAggregate>().Series.Where(s => s.Name == MeshTags.ServerConnectionDuration).Sum(s => s.Durations.Totals().Counts.Sum()) == 2, "both have a duration");
        Assert.Contains(new(MeshTags.Source, MeshTags.Unmeshed), counted.All.First(c => c.Name == MeshTags.ServerConnectionOpened).Tags);

        double Open() => counted.ReadGauges(out _).Where(g => g.Instrument.Name == MeshTags.ServerConnectionOpen).Sum(g => g.Value);

        long Total(string counter, string? direction = null) =>
            counted.All.Where(c => c.Name == counter && (direction is null || c.Tags.Contains(new(MeshTags.IoDirection, direction)))).Sum(c => c.Total);
    }

    [Fact]
    public async Task Opaque_BecomesStrict_PlaintextIsClosed()
    {
        await using var app = await EchoAsync();
        Publish(app);
        using var one = await DialAsync(app);
        Assert.Equal("ab", await EchoAsync(one, "ab"));

        LimitedApp.PublishChains(app, c => c with { IsOpaque = true }, plaintext: false);

        Assert.True(await IsClosedAsync(one));
        using var late = await DialAsync(app);
        Assert.Null(await EchoAsync(late, "GET / HTTP/1.1\r\n"));
    }

    [Theory]
    [InlineData("ab", false)]
    [InlineData("\u0001\u0002", false)]
    [InlineData("GET", true)]
    public async Task Http_StrictOrWithRules_TakesNoOtherBytes(string bytes, bool isUndecided)
    {
        await using var app = await EchoAsync();
        LimitedApp.PublishChains(app, c => c);
        using (var free = await DialAsync(app))
        {
            Assert.Equal(bytes, await EchoAsync(free, bytes));
        }

        foreach (var change in new Action[] { () => LimitedApp.PublishChains(app, c => c, plaintext: false), () => LimitedApp.PublishChains(app, c => c with { Http = Http(Here) }) })
        {
            change();
            using var judged = await DialAsync(app);
            await judged.SendAsync(Encoding.Latin1.GetBytes(bytes), Token);
            if (isUndecided)
            {
                // It may yet become a request, byte by byte.
                await judged.SendAsync("\0"u8.ToArray(), Token);
            }

            Assert.True(await IsClosedAsync(judged));
        }
    }

    [Fact]
    public async Task Http_BecomesStrictOrGetsRules_WhatBringsNoRequestsIsClosed()
    {
        await using var app = await EchoAsync();
        foreach (var change in new Action[] { () => LimitedApp.PublishChains(app, c => c, plaintext: false), () => LimitedApp.PublishChains(app, c => c with { Http = Http(Here) }) })
        {
            LimitedApp.PublishChains(app, c => c);
            using var one = await DialAsync(app);
            Assert.Equal("a\0", await EchoAsync(one, "a\0"));

            change();

            Assert.True(await IsClosedAsync(one));
        }
    }

    [Fact]
    public async Task MeshTls_OpaqueChain_IsJudgedByIdentityAndRevoked()
    {
        await using var app = await MeshApp.StartAsync(_ca);
        Publish(app, Allow(Rule("web", Any, Web)));
        using var web = MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, HttpVersion.Version20);
        using var other = MeshApp.MeshClient(_ca.Identity("shop", "other"), _cart, HttpVersion.Version20);
        var url = $"http://127.0.0.1:{app.Port}/";

        Assert.Contains("sa/web", await web.GetStringAsync(url, Token), StringComparison.Ordinal);
        await Assert.ThrowsAsync<HttpRequestException>(() => other.GetStringAsync(url, Token));
        LimitedApp.PublishChains(app, c => c with { Http = Http(Allow(Rule("path", Path("/"), Web))) });
        Assert.Contains("sa/web", await web.GetStringAsync(url, Token), StringComparison.Ordinal);
        Publish(app, Elsewhere);
        await Assert.ThrowsAsync<HttpRequestException>(() => web.GetStringAsync(url, Token));
    }

    [Fact]
    public async Task Connections_Closed_AreForgotten()
    {
        await using var app = await EchoAsync();
        Publish(app, Here);
        var judged = app.Services.GetRequiredService<Mesh.Server.Listening.JudgedConnections>();
        using (var one = await DialAsync(app))
        {
            Assert.Equal("ab", await EchoAsync(one, "ab"));
            Assert.Equal(1, judged.Count);
        }

        await Eventually.Async(() => judged.Count == 0, "the closed connection is forgotten");
    }

    private static void Publish(MeshApp app, params RbacFilter[] rules) => LimitedApp.PublishChains(app, c => c with { IsOpaque = true, ConnectionRules = rules });

    private Task<MeshApp> EchoAsync() => MeshApp.StartAsync(_ca, web => web.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Run(async connection =>
    {
        while (true)
        {
            var read = await connection.Transport.Input.ReadAsync();
            foreach (var part in read.Buffer)
            {
                await connection.Transport.Output.WriteAsync(part);
            }

            connection.Transport.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
            {
                return;
            }
        }
    }))));

    private static async Task<Socket> DialAsync(MeshApp app)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, app.Port), Token);
        return socket;
    }

    /// <returns>Null when the connection was closed instead.</returns>
    private static async Task<string?> EchoAsync(Socket socket, string text)
    {
        try
        {
            await socket.SendAsync(Encoding.Latin1.GetBytes(text), Token);
            var buffer = new byte[text.Length];
            for (var length = 0; length < buffer.Length;)
            {
                var got = await socket.ReceiveAsync(buffer.AsMemory(length), Token).AsTask().WaitAsync(TimeSpan.FromSeconds(15), Token);
                if (got == 0)
                {
                    return null;
                }

                length += got;
            }

            return Encoding.Latin1.GetString(buffer);
        }
        catch (SocketException)
        {
            return null;
        }
    }

    private static async Task<bool> IsClosedAsync(Socket socket)
    {
        try
        {
            return await socket.ReceiveAsync(new byte[1], Token).AsTask().WaitAsync(TimeSpan.FromSeconds(15), Token) == 0;
        }
        catch (SocketException)
        {
            return true;
        }
    }
}
