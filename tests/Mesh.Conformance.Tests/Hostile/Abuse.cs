using System.Text;
using Mesh.Conformance.Tests.Targets;
using Mesh.Conformance.Tests.Wire;

namespace Mesh.Conformance.Tests.Hostile;

/// <summary>What a hostile client has at hand. Everything that it opens is closed at its end, and what it writes behind its back ends with that.</summary>
/// <param name="other">A client that behaves.</param>
internal sealed class Abuse(ITarget target, HttpClient other) : IAsyncDisposable
{
    private readonly List<Stream> _streams = [];
    private readonly List<Task> _floods = [];

    public RecordingApp App => target.App;

    public bool ServerLimitsBodies => target.LimitsBodies;

    public async Task<Stream> ConnectAsync(string? firstBytes = null)
    {
        var stream = await target.ConnectAsync();
        _streams.Add(stream);
        if (firstBytes is not null)
        {
            await WriteAsync(stream, Encoding.Latin1.GetBytes(firstBytes));
        }

        return stream;
    }

    /// <summary>A connection of which nothing is ever read, unless <see cref="EndAsync"/> does.</summary>
    public async Task<Stream> ConnectHttp2Async(byte[] frames, params (Setting Name, int Value)[] settings)
    {
        var stream = await ConnectAsync();
        await WriteAsync(stream, [.. Http2Wire.Preface, .. Frames.Settings(settings), .. frames]);
        return stream;
    }

    public static async Task<bool> WriteAsync(Stream stream, byte[] bytes)
    {
        try
        {
            await stream.WriteAsync(bytes, TestContext.Current.CancellationToken).AsTask().WaitAsync(Patience.Limit, TestContext.Current.CancellationToken);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Writes until the server hangs up, which it has to do before all was sent.</summary>
    public static async Task FloodUntilHungUpAsync(Stream stream, byte[] bytes, int times)
    {
        // What the server says is read so that nothing but its will ends the flood.
        var reading = Http1Answers.ReadAsync(stream, TimeSpan.FromSeconds(30));
        for (var i = 0; i < times; i++)
        {
            if (reading.IsCompleted || !await WriteAsync(stream, bytes))
            {
                await reading;
                return;
            }
        }

        Assert.Fail($"The server took {(long)bytes.Length * times} octets.");
    }

    /// <summary>Writes on and on behind the caller's back, as far as the server takes it; at most so often.</summary>
    public void Flood(Stream stream, byte[] bytes, int times) => _floods.Add(Task.Run(async () =>
    {
        try
        {
            for (var i = 0; i < times; i++)
            {
                await stream.WriteAsync(bytes);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // Hung up, or the abuse is over.
        }
    }));

    /// <summary>The server has to hang up by itself.</summary>
    public static async Task<string> EndAsync(Stream stream) => await Http1Answers.ReadAsync(stream);

    /// <summary>A connection whose frames are read; the caller disposes it.</summary>
    public Task<Http2Wire> OpenAsync() => Http2Wire.OpenAsync(target);

    /// <summary>On connections that are there and on new ones; for as long as floods go on, but no more than fifty times since a server may stop reading a flood for good.</summary>
    public async Task OthersAreServedAsync()
    {
        for (var i = 0; i < 5 || (i < 50 && _floods.Any(f => !f.IsCompleted)); i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "http://conformance.test/other")
            {
                Content = new StringContent("hello"),
                Version = other.DefaultRequestVersion,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            };
            // HTTP/1 only: the next one needs a new connection.
            request.Headers.ConnectionClose = other.DefaultRequestVersion.Major == 1 && i % 2 == 0;
            using var answer = await other.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal("hello", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var stream in _streams)
        {
            await stream.DisposeAsync();
        }

        await Task.WhenAll(_floods);
    }
}
