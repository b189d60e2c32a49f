using Mesh.Conformance.Tests.Http2;
using Mesh.Conformance.Tests.Wire;
using Mesh.Testing;

namespace Mesh.Conformance.Tests.Hostile;

/// <summary>Ways to make an HTTP/2 server work or keep much for little. Each ends with what the server must have done, beside serving others.</summary>
internal static class Http2Abuses
{
    private const int Crowd = 100;
    private const int MostStreams = 100;
    private static readonly byte[] _unfinishedHeaders = Frame.Encode(FrameType.Headers, Flags.EndStream, 1, Requests.Get());

    public static IReadOnlyDictionary<string, Func<Abuse, Task>> All { get; } = new Dictionary<string, Func<Abuse, Task>>
    {
        ["a hundred prefaces that never end"] = abuse => CrowdAsync(abuse, i => Http2Wire.Preface[..(1 + (i % 23))]),
        ["a hundred connections that say nothing"] = abuse => CrowdAsync(abuse, _ => []),
        ["slowloris: header blocks that never end, and a thousand bodies that come octet by octet"] = async abuse =>
        {
            var crowd = new List<Stream>();
            for (var i = 0; i < 10; i++)
            {
                crowd.Add(await abuse.ConnectHttp2Async(Frames.Streams(MostStreams, s => [.. Frames.Post(s), .. Frames.Data(s, [1])])));
            }

            for (var i = 0; i < Crowd; i++)
            {
                crowd.Add(await abuse.ConnectHttp2Async(_unfinishedHeaders));
            }

            await abuse.OthersAreServedAsync();
            if (abuse.ServerLimitsBodies)
            {
                await Task.WhenAll(crowd.Select(Abuse.EndAsync));
            }
        },
        ["a hundred frames that announce more than comes"] = abuse => CrowdAsync(abuse, _ => [.. Http2Wire.Preface, .. Frames.Settings(), .. Frame.Encode(FrameType.Headers, Flags.EndHeaders, 1, [0x82], length: 16384)]),
        ["CVE-2023-44487, rapid reset: five times 4,000 requests that are reset at once"] = async abuse =>
        {
            for (var i = 0; i < 5; i++)
            {
                abuse.Flood(await abuse.ConnectHttp2Async([]), Frames.Streams(4000, s => [.. Frames.Get(s, "/hold"), .. Frames.Reset(s)]), 1);
            }

            await abuse.OthersAreServedAsync();
            // Kestrel tracks twice as many streams as it allows, since one that is reset may not be over yet.
            Assert.InRange(abuse.App.MostActive, 0, (5 * 2 * MostStreams) + 5);
        },
        ["CVE-2025-8671, made you reset: 4,000 requests that the server has to reset"] = async abuse =>
        {
            abuse.Flood(await abuse.ConnectHttp2Async([]), Frames.Streams(4000, s => [.. Frames.Get(s, "/hold"), .. Frames.WindowUpdate(s, 0)]), 1);
            await abuse.OthersAreServedAsync();
            Assert.InRange(abuse.App.MostActive, 0, (2 * MostStreams) + 5);
        },
        ["CVE-2024-27316, CONTINUATION flood: fields without an end"] = async abuse =>
            await Abuse.FloodUntilHungUpAsync(await abuse.ConnectHttp2Async(_unfinishedHeaders), Frame.Encode(FrameType.Continuation, Flags.None, 1, Hpack.Block(("x-value", new string('a', 16_000)))), 4000),
        ["CONTINUATION flood: tiny fields without an end"] = async abuse =>
            await Abuse.FloodUntilHungUpAsync(await abuse.ConnectHttp2Async(_unfinishedHeaders), Frames.Times(100, Frame.Encode(FrameType.Continuation, Flags.None, 1, Hpack.Block(("a", "")))), 20_000),
        ["CONTINUATION flood: no fields at all"] = async abuse =>
        {
            abuse.Flood(await abuse.ConnectHttp2Async(_unfinishedHeaders), Frames.Times(1000, Frame.Encode(FrameType.Continuation, Flags.None, 1, [])), 200);
            await abuse.OthersAreServedAsync();
        },
        ["trailers without an end"] = async abuse =>
            await Abuse.FloodUntilHungUpAsync(
                await abuse.ConnectHttp2Async([.. Frames.Post(1), .. Frame.Encode(FrameType.Headers, Flags.EndStream, 1, Hpack.Block(("x-trailer", "1")))]),
                Frame.Encode(FrameType.Continuation, Flags.None, 1, Hpack.Block(("x-trailer", new string('a', 16_000)))), 4000),
        ["HPACK bomb: one entry of the table 16,000 times"] = async abuse =>
        {
            await using var wire = await abuse.OpenAsync();
            byte[] bomb = [.. Requests.Get(), .. Hpack.Literal("x-value", new string('a', 4000), indexed: true), .. Enumerable.Repeat((byte)0xbe, 12_000)];
            await wire.Headers(1, bomb).FlushAsync();
            await RefusedAsync(abuse, wire);
        },
        ["HPACK bomb over many frames and many streams"] = async abuse =>
        {
            await using var wire = await abuse.OpenAsync();
            await wire.Headers(1, [.. Requests.Get(), .. Hpack.Literal("x-value", new string('a', 4000), indexed: true)], Flags.EndStream)
                .Continuation(1, [.. Enumerable.Repeat((byte)0xbe, 16_384)], Flags.None).Continuation(1, [.. Enumerable.Repeat((byte)0xbe, 16_384)]).FlushAsync();
            await RefusedAsync(abuse, wire);
        },
        ["10,000 tiny fields"] = abuse => OversizedAsync(abuse, [.. Requests.Get(), .. Hpack.Block([.. Enumerable.Range(0, 10_000).Select(i => ($"x{i}", ""))])]),
        ["10,000 crumbs of a cookie"] = abuse => OversizedAsync(abuse, [.. Requests.Get(), .. Hpack.Block([.. Enumerable.Range(0, 10_000).Select(i => ("cookie", $"a{i}=1"))])]),
        ["a path of 1 MB"] = abuse => OversizedAsync(abuse, Requests.Get($"/{new string('a', 1 << 20)}")),
        ["a method of 1 MB"] = abuse => OversizedAsync(abuse, Requests.Request(new string('A', 1 << 20), "/")),
        ["a field's name of 1 MB"] = abuse => OversizedAsync(abuse, Requests.Get("/", (new string('a', 1 << 20), "1"))),
        ["a field's value of 1 MB"] = abuse => OversizedAsync(abuse, Requests.Get("/", ("x-value", new string('a', 1 << 20)))),
        ["PING flood, answers not read"] = abuse => FloodAsync(abuse, Frames.Ping),
        ["SETTINGS flood, acknowledgements not read"] = abuse => FloodAsync(abuse, Frames.Settings((Setting.InitialWindowSize, 65_535))),
        ["SETTINGS flood that moves the windows of a hundred streams"] = abuse =>
            FloodAsync(abuse, [.. Frames.Settings((Setting.InitialWindowSize, 1)), .. Frames.Settings((Setting.InitialWindowSize, 65_535))], Frames.Streams(MostStreams, s => Frames.Get(s, "/hold"))),
        ["SETTINGS flood that resizes the table"] = abuse => FloodAsync(abuse, [.. Frames.Settings((Setting.HeaderTableSize, 0)), .. Frames.Settings((Setting.HeaderTableSize, 1 << 30))]),
        ["PRIORITY flood"] = abuse => FloodAsync(abuse, Frame.Encode(FrameType.Priority, Flags.None, 1, new byte[5])),
        ["WINDOW_UPDATE flood"] = abuse => FloodAsync(abuse, Frames.WindowUpdate(0, 1)),
        ["flood of frames of unknown type"] = abuse => FloodAsync(abuse, Frame.Encode((FrameType)0x16, Flags.None, 0, [1])),
        ["empty DATA flood"] = abuse => FloodAsync(abuse, Frames.Data(1, []), Frames.Post(1, "/hold")),
        ["DATA flood of padding"] = abuse => FloodAsync(abuse, Frame.Encode(FrameType.Data, Flags.Padded, 1, [10, .. new byte[10]]), Frames.Post(1)),
        ["RST_STREAM flood on a closed stream"] = abuse => FloodAsync(abuse, Frames.Reset(1), [.. Frames.Get(1, "/hold"), .. Frames.Reset(1)]),
        ["zero windows for ever: a thousand answers that may not be sent"] = async abuse =>
        {
            for (var i = 0; i < 10; i++)
            {
                await abuse.ConnectHttp2Async(Frames.Streams(MostStreams, s => Frames.Get(s, "/bytes/1000000")), (Setting.InitialWindowSize, 0));
            }

            await Eventually.Async(() => abuse.App.Active >= 500, "a crowd within the app");
            await abuse.OthersAreServedAsync();
            // 1 GB wants to be sent. What stands in buffers is a fraction of it.
            Assert.InRange(HostileTests.HeapInMegabytes(), 0, 400);
        },
        ["answers that are not read from the socket"] = async abuse =>
        {
            for (var i = 0; i < 10; i++)
            {
                await abuse.ConnectHttp2Async([.. Frames.WindowUpdate(0, int.MaxValue - 65_535), .. Frames.Streams(10, s => Frames.Get(s, "/bytes/10000000"))], (Setting.InitialWindowSize, int.MaxValue));
            }

            await abuse.OthersAreServedAsync();
        },
        ["a hundred times as many requests as streams are allowed"] = async abuse =>
        {
            abuse.Flood(await abuse.ConnectHttp2Async([]), Frames.Streams(100 * MostStreams, s => Frames.Get(s, "/hold")), 1);
            await abuse.OthersAreServedAsync();
            Assert.InRange(abuse.App.MostActive, 0, (2 * MostStreams) + 5);
        },
        ["bodies beyond every window"] = async abuse =>
            await Abuse.FloodUntilHungUpAsync(await abuse.ConnectHttp2Async(Frames.Streams(10, s => Frames.Post(s, "/hold"))), Frames.Streams(10, s => Frames.Data(s, new byte[16_384])), 400),
    };

    private static async Task CrowdAsync(Abuse abuse, Func<int, byte[]> bytes)
    {
        for (var i = 0; i < Crowd; i++)
        {
            var one = await abuse.ConnectAsync();
            foreach (var octet in bytes(i))
            {
                await Abuse.WriteAsync(one, [octet]);
            }
        }

        await abuse.OthersAreServedAsync();
    }

    /// <summary>The server may take all of it, stop reading, or hang up.</summary>
    private static async Task FloodAsync(Abuse abuse, byte[] frames, byte[]? first = null)
    {
        abuse.Flood(await abuse.ConnectHttp2Async(first ?? []), Frames.Times(1000, frames), 50);
        await abuse.OthersAreServedAsync();
    }

    private static async Task OversizedAsync(Abuse abuse, byte[] block)
    {
        await using var wire = await abuse.OpenAsync();
        wire.Headers(1, block.AsSpan(0, 16_384), Flags.EndStream);
        for (var at = 16_384; at < block.Length; at += 16_384)
        {
            var last = at + 16_384 >= block.Length;
            wire.Continuation(1, block.AsSpan(at, last ? block.Length - at : 16_384), last ? Flags.EndHeaders : Flags.None);
        }

        await wire.FlushAsync();
        await RefusedAsync(abuse, wire);
    }

    private static async Task RefusedAsync(Abuse abuse, Http2Wire wire)
    {
        var outcome = await Http2Case.ObserveAsync(wire, 1);
        Assert.True(outcome.Strictness > 0, $"{outcome}");
        Assert.DoesNotContain(abuse.App.Received, r => r.Target != "/other");
        await abuse.OthersAreServedAsync();
    }
}
