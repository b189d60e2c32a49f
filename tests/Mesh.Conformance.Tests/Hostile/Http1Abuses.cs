using System.Text;
using Mesh.Conformance.Tests.Http1;

namespace Mesh.Conformance.Tests.Hostile;

/// <summary>Ways to make an HTTP/1.1 server wait or keep much for little.</summary>
internal static class Http1Abuses
{
    private const int Crowd = 140;

    public static IReadOnlyDictionary<string, Func<Abuse, Task>> All { get; } = new Dictionary<string, Func<Abuse, Task>>
    {
        ["slowloris: request lines, heads, bodies, chunks, sizes and trailers that never end, and promises of a body"] = abuse => CrowdAsync(
            abuse, hangsUp: true,
            "GET /",
            "GET / HTTP/1.1\r\nHost: conformance.test\r\nX-Value: a",
            Heads.Post("Content-Length: 1000000") + "a",
            Heads.Post("Content-Length: 1000000", "Expect: 100-continue"),
            Heads.ChunkedPost("ffff\r\na"),
            Heads.ChunkedPost("0"),
            Heads.ChunkedPost("0\r\nX-Trailer: a")),
        ["a crowd of connections that say nothing"] = abuse => CrowdAsync(abuse, hangsUp: false, ""),
        ["a request line without an end"] = abuse => EndlessAsync(abuse, "GET /", "aaaaaaaaaaaaaaaa"),
        ["a field without an end"] = abuse => EndlessAsync(abuse, "GET / HTTP/1.1\r\nX-Value: ", "aaaaaaaaaaaaaaaa"),
        ["fields without an end"] = abuse => EndlessAsync(abuse, "GET / HTTP/1.1\r\n", "X-Value: a\r\n"),
        ["a name without an end"] = abuse => EndlessAsync(abuse, "GET / HTTP/1.1\r\n", "X"),
        ["a chunk's extension without an end"] = abuse => EndlessBodyAsync(abuse, Heads.ChunkedPost("1;"), "aaaaaaaaaaaaaaaa"),
        ["a chunk size of zeros without an end"] = abuse => EndlessAsync(abuse, Heads.ChunkedPost(""), "0000000000000000"),
        ["trailers without an end"] = abuse => EndlessAsync(abuse, Heads.ChunkedPost("0\r\n"), "X-Trailer: a\r\n"),
        ["a body beyond the limit, chunk by chunk"] = abuse => EndlessBodyAsync(abuse, Heads.ChunkedPost(""), $"1000\r\n{new string('a', 4096)}\r\n"),
        ["empty lines before a request without an end"] = async abuse =>
        {
            abuse.Flood(await abuse.ConnectAsync(), Repeated("\r\n"), 64);
            await abuse.OthersAreServedAsync();
        },
        ["10,000 requests at once, answers not read"] = async abuse =>
        {
            abuse.Flood(await abuse.ConnectAsync(), Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat(Heads.Get(), 1000))), 10);
            await abuse.OthersAreServedAsync();
        },
        ["answers that are not read from the socket"] = async abuse =>
        {
            for (var i = 0; i < 20; i++)
            {
                await abuse.ConnectAsync(Heads.Head("GET /bytes/10000000 HTTP/1.1", Heads.Host));
            }

            await abuse.OthersAreServedAsync();
        },
        ["bodies that nobody reads"] = async abuse =>
        {
            for (var i = 0; i < 20; i++)
            {
                abuse.Flood(await abuse.ConnectAsync(Heads.Head("POST /hold HTTP/1.1", Heads.Host, "Content-Length: 20000000")), new byte[65_536], 300);
            }

            await abuse.OthersAreServedAsync();
            // With the request's body backed up Kestrel does not see the end of the connection, so the app would never hear of it.
            abuse.App.Release();
        },
        ["a body that is longer than any server takes"] = async abuse =>
        {
            var client = await abuse.ConnectAsync(Heads.Post("Content-Length: 9000000000000000000"));
            if (abuse.ServerLimitsBodies)
            {
                Assert.DoesNotContain(" 200 ", await Abuse.EndAsync(client), StringComparison.Ordinal);
            }

            await abuse.OthersAreServedAsync();
        },
    };

    private static byte[] Repeated(string text) => Encoding.Latin1.GetBytes(string.Concat(Enumerable.Repeat(text, 65_536 / text.Length)));

    private static async Task CrowdAsync(Abuse abuse, bool hangsUp, params string[] beginnings)
    {
        var crowd = new List<Stream>();
        for (var i = 0; i < Crowd; i++)
        {
            crowd.Add(await abuse.ConnectAsync(beginnings[i % beginnings.Length]));
        }

        await abuse.OthersAreServedAsync();
        if (hangsUp && abuse.ServerLimitsBodies)
        {
            await Task.WhenAll(crowd.Select(Abuse.EndAsync));
        }
    }

    /// <summary>Where bodies have no limit of the server's own, it may take what the app behind takes.</summary>
    private static async Task EndlessBodyAsync(Abuse abuse, string first, string again)
    {
        if (abuse.ServerLimitsBodies)
        {
            await EndlessAsync(abuse, first, again);
            return;
        }

        abuse.Flood(await abuse.ConnectAsync(first), Repeated(again), 1024);
        await abuse.OthersAreServedAsync();
        Assert.DoesNotContain(abuse.App.Received, r => r.Complete && r.Target != "/other");
    }

    /// <summary>At most 64 MB, which no server has to take: bodies have a limit of 30 MB.</summary>
    private static async Task EndlessAsync(Abuse abuse, string first, string again)
    {
        await Abuse.FloodUntilHungUpAsync(await abuse.ConnectAsync(first), Repeated(again), 1024);
        Assert.DoesNotContain(abuse.App.Received, r => r.Complete && r.Target != "/other");
        await abuse.OthersAreServedAsync();
    }
}
