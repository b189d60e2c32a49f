using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>Bytes from somebody who means harm, on the workload's own port.</summary>
public sealed class HostileInputTests
{
    private const int OfEachKind = 20;

    [Fact]
    public async Task Port_UnderHostileBytes_ServesAllOthersAndForgetsTheAttackers()
    {
        int[] ports = [RunningMesh.FreePort(), RunningMesh.FreePort()];
        await using var mesh = await RunningMesh.StartAsync(
            ("catalog.yaml", RunningMesh.ServiceYaml("catalog", 80, ports[0])), ("front.yaml", RunningMesh.ServiceYaml("front", 80, ports[1])));
        await mesh.StartServiceAsync("catalog", ports[0], app => app.MapGet("/", () => "ok"));
        var front = await mesh.StartServiceAsync("front", ports[1], app => app.MapGet("/", () => "front"), b => b.Services.AddHttpClient("front"));
        await mesh.WaitUntilMeshedAsync("catalog", "front");
        var client = front.Services.GetRequiredService<IHttpClientFactory>().CreateClient("front");
        await using var calls = new SteadyCalls(client, "http://catalog/", "ok");
        await calls.FlowAsync(50);
        var watch = Stopwatch.StartNew();

        var random = new Random(1);
        var open = new List<Socket>();
        for (var i = 0; i < OfEachKind; i++)
        {
            open.Add(await SendAsync(ports[0], [])); // half open: connects and says nothing
            open.Add(await SendAsync(ports[0], [0x16, 0x03, 0x01])); // half a record header
            open.Add(await SendAsync(ports[0], Endless(5000))); // a ClientHello that claims more than ever comes
        }

        List<Task> closed = [];
        for (var i = 0; i < OfEachKind; i++)
        {
            var noise = new byte[random.Next(1, 4096)];
            random.NextBytes(noise);
            noise[0] = (byte)(i % 2 == 0 ? 0x16 : noise[0] | 0x80); // half of them look like TLS at first
            closed.Add(ClosedByServerAsync(ports[0], noise));
            closed.Add(ClosedByServerAsync(ports[0], Endless(100_000))); // goes on for ever, record after record
        }

        await calls.FlowAsync(100);
        Assert.Empty(await calls.EndAsync());
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"100 calls among {open.Count + closed.Count} attackers took {watch.Elapsed}.");

        // Whoever sent what cannot be TLS or HTTP is gone already, and new callers, plaintext ones too, come through.
        await Task.WhenAll(closed).WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        using var plain = new HttpClient();
        Assert.Equal("ok", await plain.GetStringAsync(new Uri($"http://127.0.0.1:{ports[0]}/"), TestContext.Current.CancellationToken));
        open.ForEach(socket => socket.Dispose());
        Assert.DoesNotContain(mesh.Logs.GetSnapshot(), record => record.Level >= LogLevel.Error);
    }

    /// <summary>Handshake records that are each well formed and never end one ClientHello.</summary>
    private static byte[] Endless(int bytes)
    {
        var message = new byte[bytes];
        for (var at = 0; at < bytes; at += 1029)
        {
            byte[] header = at == 0 ? [0x16, 0x03, 0x01, 0x04, 0x00, 0x01, 0xff, 0xff, 0xff] : [0x16, 0x03, 0x01, 0x04, 0x00];
            header.AsSpan(0, Math.Min(header.Length, bytes - at)).CopyTo(message.AsSpan(at));
        }

        return message;
    }

    private static async Task<Socket> SendAsync(int port, byte[] bytes)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, port);
        await socket.SendAsync(bytes);
        return socket;
    }

    private static async Task ClosedByServerAsync(int port, byte[] bytes)
    {
        using var socket = await SendAsync(port, bytes);
        socket.Shutdown(SocketShutdown.Send);
        var buffer = new byte[1024];
        try
        {
            while (await socket.ReceiveAsync(buffer) > 0)
            {
            }
        }
        catch (SocketException)
        {
            // Reset: closed all the same.
        }
    }
}
