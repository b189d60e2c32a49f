using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>What runs in the caller's namespace beside h2load: a check that answers are right, readers of bytes, idle connections.</summary>
internal static class BenchLoad
{
    public static Task<int> RunAsync(string[] args) => args switch
    {
        ["check", var host] => CheckAsync(host),
        ["tcp", var host, var connections, var seconds] => ReadAsync(host, Number(connections), TimeSpan.FromSeconds(Number(seconds))),
        ["ready", var address] => ReadyAsync(new Uri(address)),
        ["token", var address, var secret, var account] => TokenAsync(new Uri(address), secret, account),
        ["idle", var host, var connections] => IdleAsync(host, Number(connections)),
        _ => throw new ArgumentException("check HOST | ready URL | token URL SECRET ACCOUNT | tcp HOST CONNECTIONS SECONDS | idle HOST CONNECTIONS"),
    };

    /// <summary>That both protocols give whole, right answers: h2load looks at the status alone.</summary>
    private static async Task<int> CheckAsync(string host)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, ActivityHeadersPropagator = null }) { Timeout = TimeSpan.FromSeconds(15) };
        foreach (var size in (int[])[256, 65536])
        {
            using var page = await client.GetAsync(new Uri($"http://{host}:{BenchApp.HttpPort}/{size}"));
            var body = await page.Content.ReadAsByteArrayAsync();
            Expect(page.IsSuccessStatusCode && body.Length == size, $"HTTP/1: {page} {Encoding.UTF8.GetString(body.AsSpan(0, Math.Min(body.Length, 500)))}");
            using var call = new HttpRequestMessage(HttpMethod.Post, new Uri($"http://{host}:{BenchApp.GrpcPort}/{size}"))
            {
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                Content = new ByteArrayContent(GrpcMessage()) { Headers = { { "content-type", "application/grpc" } } },
                Headers = { { "te", "trailers" } },
            };
            using var answer = await client.SendAsync(call);
            body = await answer.Content.ReadAsByteArrayAsync();
            Expect(
                body.Length == size + 5 && answer.TrailingHeaders.TryGetValues("grpc-status", out var status) && status.Single() == "0",
                $"gRPC: {answer} and {body.Length} bytes; trailers: {answer.TrailingHeaders}");
        }

        Console.WriteLine("right");
        return 0;
    }

    /// <summary>Prints a join token for the service account.</summary>
    private static async Task<int> TokenAsync(Uri controlPlane, string secret, string account)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(15), DefaultRequestHeaders = { Authorization = new("Bearer", secret) } };
        using var answer = await client.PostAsync(
            new Uri(controlPlane, "/api/v1/tokens"),
            new StringContent($$"""{"namespace":"bench","service_account":"{{account}}"}""", Encoding.UTF8, "application/json"));
        var text = await answer.Content.ReadAsStringAsync();
        Expect(answer.IsSuccessStatusCode, text);
        Console.WriteLine(JsonDocument.Parse(text).RootElement.GetProperty("token").GetString());
        return 0;
    }

    /// <summary>Asks until the answer is 200.</summary>
    private static async Task<int> ReadyAsync(Uri address)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, ConnectTimeout = TimeSpan.FromSeconds(1) });
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        for (var first = true; ; first = false)
        {
            try
            {
                using var answer = await client.GetAsync(address, limit.Token);
                if (answer.IsSuccessStatusCode)
                {
                    Console.WriteLine("ready");
                    return 0;
                }
            }
            catch (Exception e) when (e is HttpRequestException || (e is OperationCanceledException && !limit.IsCancellationRequested))
            {
                // Not there yet.
            }

            if (first)
            {
                // Its own code is compiled by now.
                Console.WriteLine("asking");
            }

            await Task.Delay(1, limit.Token);
        }
    }

    /// <summary>256 bytes as a gRPC message.</summary>
    public static byte[] GrpcMessage() => [0, 0, 0, 1, 0, .. new byte[256]];

    /// <summary>Prints how many bytes came in how many seconds.</summary>
    private static async Task<int> ReadAsync(string host, int connections, TimeSpan duration)
    {
        using var stop = new CancellationTokenSource(duration);
        var counts = await Task.WhenAll(Enumerable.Range(0, connections).Select(_ => Task.Run(() => ReadAsync(host, stop.Token))));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{counts.Sum()} {duration.TotalSeconds}"));
        return 0;
    }

    private static async Task<long> ReadAsync(string host, CancellationToken stop)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(host, BenchApp.TcpPort, stop);
        var buffer = new byte[256 * 1024];
        var count = 0L;
        try
        {
            while (await socket.ReceiveAsync(buffer, stop) is > 0 and var read)
            {
                count += read;
            }

            Expect(false, "the connection ended before its time");
        }
        catch (OperationCanceledException)
        {
        }

        return count;
    }

    /// <summary>Opens connections, makes one request on each and holds them until its input ends.</summary>
    private static async Task<int> IdleAsync(string host, int connections)
    {
        var request = Encoding.ASCII.GetBytes($"GET /256 HTTP/1.1\r\nHost: {host}:{BenchApp.HttpPort}\r\n\r\n");
        var sockets = new List<Socket>();
        var buffer = new byte[4096];
        for (var i = 0; i < connections; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            sockets.Add(socket);
            await socket.ConnectAsync(host, BenchApp.HttpPort);
            await socket.SendAsync(request);
            // Headers and 256 bytes of body.
            for (var (count, read) = (0, 1); !EndsWithBody(buffer.AsSpan(0, count)); count += read)
            {
                read = await socket.ReceiveAsync(buffer.AsMemory(count));
                Expect(read > 0, $"connection {i} was closed");
            }
        }

        Console.WriteLine("holding");
        while (await Console.In.ReadLineAsync() is not null)
        {
        }

        sockets.ForEach(s => s.Dispose());
        return 0;
    }

    private static bool EndsWithBody(ReadOnlySpan<byte> answer) => answer.IndexOf("\r\n\r\n"u8) is >= 0 and var end && answer.Length >= end + 4 + 256;

    private static void Expect(bool right, string otherwise)
    {
        if (!right)
        {
            throw new InvalidOperationException(otherwise);
        }
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
