using Mesh.Conformance.Tests.Wire;
using Mesh.Testing;
using static Mesh.Conformance.Tests.Http2.Http2Case;
using static Mesh.Conformance.Tests.Http2.Requests;
using static Mesh.Conformance.Tests.Wire.ErrorCode;

namespace Mesh.Conformance.Tests.Http2;

/// <summary>RFC 9113 §3–5: how a connection begins, frames, header blocks, streams and their states.</summary>
internal static class FramingCases
{
    private const Flags Open = Flags.EndHeaders;
    private const Flags Last = Flags.EndHeaders | Flags.EndStream;

    public static IEnumerable<Http2Case> All => [.. Preface, .. Frames, .. Sizes, .. Blocks, .. Idle, .. HalfClosed, .. Closed, .. Identifiers, .. Extensions];

    private static IEnumerable<Http2Case> Preface =>
    [
        Of("§3.4", "the preface with another last line", w => w.Raw("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"u8).Settings(), Allowed.Connection(ProtocolError) | Allowed.Status(400)) with { FromTheStart = true },
        Of("§3.4", "bytes that are no preface", w => w.Raw("INVALID CONNECTION PREFACE\r\n\r\n"u8), Allowed.Connection(ProtocolError) | Allowed.Status(400)) with { FromTheStart = true },
        Of("§3.4", "PING as the first frame", w => w.Raw(Http2Wire.Preface).Ping(new byte[8]), Allowed.Connection(ProtocolError)) with { FromTheStart = true },
        Of("§3.4", "HEADERS as the first frame", w => w.Raw(Http2Wire.Preface).Headers(1, Get()), Allowed.Connection(ProtocolError), 1) with { FromTheStart = true },
        Of("§3.4", "WINDOW_UPDATE as the first frame", w => w.Raw(Http2Wire.Preface).WindowUpdate(0, 1), Allowed.Connection(ProtocolError)) with { FromTheStart = true },
        Of("§3.4", "a frame after SETTINGS without waiting for the server's", w => w.Raw(Http2Wire.Preface).Settings().Headers(1, Get()), Allowed.Served, 1) with { FromTheStart = true },
        new("§3.4", "the preface and frames octet by octet", async w =>
        {
            foreach (var octet in (byte[])[.. Http2Wire.Preface, .. Frame.Encode(FrameType.Settings, Flags.None, 0, []), .. Frame.Encode(FrameType.Headers, Last, 1, Get())])
            {
                await w.Raw([octet]).FlushAsync();
            }
        }, Allowed.Served, 1) { FromTheStart = true },
        new("§3.4", "SETTINGS is the server's first frame and it acknowledges ours", async w =>
        {
            await w.Raw(Http2Wire.Preface).Settings().FlushAsync();
            await w.HandshakeAsync();
        }, Allowed.Alive) { FromTheStart = true },
    ];

    private static IEnumerable<Http2Case> Frames =>
    [
        Of("§4.1", "a frame of unknown type is ignored", w => w.Frame((FrameType)0x16, Flags.None, 0, new byte[8]), Allowed.Alive),
        Of("§4.1", "a frame of unknown type on an idle stream is ignored", w => w.Frame((FrameType)0x16, Flags.None, 3, new byte[8]), Allowed.Alive),
        Of("§4.1", "flags that PING does not define are ignored", w => w.Ping(new byte[8], (Flags)0x16), Allowed.Alive),
        Of("§4.1", "flags that HEADERS does not define are ignored", w => w.Headers(1, Get(), Last | (Flags)0xd2), Allowed.Served, 1),
        Of("§4.1", "the reserved bit before the stream's id is ignored", w => w.Frame(FrameType.Headers, Last, 1, Get(), reserved: true), Allowed.Served, 1),
        Of("§4.1", "the reserved bit on stream 0 is ignored", w => w.Frame(FrameType.Ping, Flags.None, 0, new byte[8], reserved: true), Allowed.Alive),
    ];

    private static IEnumerable<Http2Case> Sizes =>
    [
        Of("§4.2", "DATA of the largest size is taken", w => w.Headers(1, Post(), Open).Data(1, new byte[16384]), Allowed.Served, 1),
        Of("§4.2", "DATA above SETTINGS_MAX_FRAME_SIZE", w => w.Headers(1, Post("/hold"), Open).Data(1, new byte[16385]), Allowed.Stream(FrameSizeError), 1),
        Of("§4.2", "HEADERS above SETTINGS_MAX_FRAME_SIZE", w => w.Headers(1, Get("/", ("x-value", new string('a', 16384)))), Allowed.Connection(FrameSizeError), 1),
        Of("§4.2", "CONTINUATION above SETTINGS_MAX_FRAME_SIZE", w => w.Headers(1, Get(), Flags.EndStream).Continuation(1, Hpack.Block(("x-value", new string('a', 16384)))), Allowed.Connection(FrameSizeError), 1),
        Of("§4.2", "SETTINGS above SETTINGS_MAX_FRAME_SIZE", w => w.Frame(FrameType.Settings, Flags.None, 0, new byte[16386]), Allowed.Connection(FrameSizeError)),
        Of("§4.2", "an unknown frame above SETTINGS_MAX_FRAME_SIZE", w => w.Frame((FrameType)0x16, Flags.None, 0, new byte[16385]), Allowed.Connection(FrameSizeError)),
        Of("§4.2", "a frame that announces 16 MB", w => w.Frame(FrameType.Headers, Last, 1, Get(), length: 0xffffff), Allowed.Connection(FrameSizeError)),
    ];

    private static IEnumerable<Http2Case> Blocks =>
    [
        Of("§4.3", "a header block that does not decompress", w => w.Headers(1, [0x80]), Allowed.Connection(CompressionError), 1),
        Of("§4.3", "a header block that ends within a field", w => w.Headers(1, Get().AsSpan()[..^1]), Allowed.Connection(CompressionError), 1),
        Of("§4.3", "PRIORITY within a header block", w => w.Headers(1, Get(), Flags.EndStream).Priority(1).Continuation(1, []), Allowed.Connection(ProtocolError), 1),
        Of("§4.3", "PING within a header block", w => w.Headers(1, Get(), Flags.EndStream).Ping(new byte[8]).Continuation(1, []), Allowed.Connection(ProtocolError), 1),
        Of("§4.3", "SETTINGS within a header block", w => w.Headers(1, Get(), Flags.EndStream).Settings().Continuation(1, []), Allowed.Connection(ProtocolError), 1),
        Of("§4.3", "DATA within a header block", w => w.Headers(1, Post(), Flags.None).Data(1, [1]).Continuation(1, []), Allowed.Connection(ProtocolError), 1),
        Of("§4.3", "HEADERS of another stream within a header block", w => w.Headers(1, Get(), Flags.EndStream).Headers(3, Get()), Allowed.Connection(ProtocolError), 1),
        Of("§4.3", "HEADERS of the same stream within a header block", w => w.Headers(1, Get(), Flags.EndStream).Headers(1, Get()), Allowed.Connection(ProtocolError), 1),
        Of("§4.3", "a block of a refused request still changes the table (the next may refer to it)", w => w
            .Headers(1, [.. Hpack.Block((":method", "GET"), (":scheme", "http"), (":path", "/")), .. Hpack.Literal("X-UPPER", "1"), .. Hpack.Literal("x-value", "kept", indexed: true)])
            .Headers(3, [.. Get("/field"), .. Hpack.Indexed(62)]), Allowed.Served | Allowed.Connection(ProtocolError), 3) with { Then = r => Assert.Contains(r, x => x.Headers.GetValueOrDefault("x-value") == "kept") },
    ];

    private static IEnumerable<Http2Case> Idle =>
    [
        Of("§5.1", "idle: DATA", w => w.Data(1, [1]), Allowed.Connection(ProtocolError)),
        Of("§5.1", "idle: RST_STREAM", w => w.Reset(1), Allowed.Connection(ProtocolError)),
        Of("§5.1", "idle: WINDOW_UPDATE", w => w.WindowUpdate(1, 100), Allowed.Connection(ProtocolError)),
        Of("§5.1", "idle: CONTINUATION", w => w.Continuation(1, Get()), Allowed.Connection(ProtocolError)),
        Of("§5.1", "idle: PRIORITY is taken", w => w.Priority(1).Headers(1, Get()), Allowed.Served, 1),
    ];

    private static IEnumerable<Http2Case> HalfClosed =>
    [
        Of("§5.1", "half-closed (remote): DATA", w => w.Headers(1, Get("/hold")).Data(1, [1]), Allowed.Stream(StreamClosed), 1),
        Of("§5.1", "half-closed (remote): HEADERS", w => w.Headers(1, Get("/hold")).Headers(1, Get()), Allowed.Stream(StreamClosed), 1),
        Of("§5.1", "half-closed (remote): CONTINUATION", w => w.Headers(1, Get("/hold")).Continuation(1, []), Allowed.Connection(ProtocolError, StreamClosed), 1),
        Of("§5.1", "half-closed (remote): WINDOW_UPDATE is taken", w => w.Headers(1, Get("/hold")).WindowUpdate(1, 100), Allowed.Alive),
        Of("§5.1", "half-closed (remote): PRIORITY is taken", w => w.Headers(1, Get("/hold")).Priority(1), Allowed.Alive),
        Of("§5.1", "half-closed (remote): RST_STREAM is taken", w => w.Headers(1, Get("/hold")).Reset(1), Allowed.Alive),
    ];

    private static IEnumerable<Http2Case> Closed =>
    [
        Of("§5.1", "closed by our RST_STREAM: DATA", w => w.Headers(1, Post("/hold"), Open).Reset(1).Data(1, [1]), Allowed.Stream(StreamClosed), 1),
        Of("§5.1", "closed by our RST_STREAM: HEADERS", w => w.Headers(1, Post("/hold"), Open).Reset(1).Headers(1, Get()), Allowed.Stream(StreamClosed), 1),
        Of("§5.1", "closed by our RST_STREAM: CONTINUATION", w => w.Headers(1, Post("/hold"), Open).Reset(1).Continuation(1, []), Allowed.Connection(StreamClosed, ProtocolError), 1),
        Of("§5.1", "closed by our RST_STREAM: WINDOW_UPDATE, PRIORITY, RST_STREAM are taken", w => w.Headers(1, Post("/hold"), Open).Reset(1).WindowUpdate(1, 1).Priority(1).Reset(1), Allowed.Alive),
        After("§5.1", "closed by both ends: DATA", w => w.Data(1, [1]), Allowed.Connection(StreamClosed)),
        After("§5.1", "closed by both ends: HEADERS", w => w.Headers(1, Get()), Allowed.Connection(StreamClosed)),
        After("§5.1", "closed by both ends: CONTINUATION", w => w.Continuation(1, []), Allowed.Connection(StreamClosed, ProtocolError)),
        After("§5.1", "closed by both ends: PRIORITY is taken", w => w.Priority(1), Allowed.Alive),
        After("§5.1", "closed by both ends: WINDOW_UPDATE and RST_STREAM are taken", w => w.WindowUpdate(1, 1).Reset(1), Allowed.Alive),
    ];

    private static IEnumerable<Http2Case> Identifiers =>
    [
        Of("§5.1.1", "an even id", w => w.Headers(2, Get()), Allowed.Connection(ProtocolError)),
        Of("§5.1.1", "an id below one that was used", w => w.Headers(5, Get("/hold")).Headers(3, Get()), Allowed.Connection(ProtocolError)),
        Of("§5.1.1", "ids may be skipped", w => w.Headers(1, Get("/hold")).Headers(101, Get()), Allowed.Served, 101),
        Of("§5.1.1", "the highest id", w => w.Headers(int.MaxValue, Get()), Allowed.Served, int.MaxValue),
        Of("§5.1.1", "a skipped id is closed: DATA", w => w.Headers(5, Get("/hold")).Data(3, [1]), Allowed.Connection(ProtocolError, StreamClosed)),
        new("§5.1.2", "one stream above SETTINGS_MAX_CONCURRENT_STREAMS", async w =>
        {
            var most = w.ServerSettings[Setting.MaxConcurrentStreams];
            for (var i = 0; i < most; i++)
            {
                w.Headers((i * 2) + 1, Get("/hold"));
            }

            await w.Headers((most * 2) + 1, Get(), Last).FlushAsync();
            // The case watches one id for all servers: the one that is too many.
            Assert.Equal(100, most);
        }, Allowed.Stream(ProtocolError, RefusedStream), 201),
        new("§5.1.2", "a stream that was reset makes room", async w =>
        {
            for (var i = 0; i < w.ServerSettings[Setting.MaxConcurrentStreams]; i++)
            {
                w.Headers((i * 2) + 1, Get("/hold"));
            }

            await w.FlushAsync();
            await ObserveAsync(w, 0);
            await w.Reset(1).FlushAsync();
            var stream = 299;
            await Eventually.Async(async () =>
            {
                // Refused until the server has noticed.
                stream += 2;
                await w.Headers(stream, Get()).FlushAsync();
                return await ObserveAsync(w, stream) is { Kind: OutcomeKind.Answered };
            }, "room for another stream");
        }, Allowed.Alive),
    ];

    private static IEnumerable<Http2Case> Extensions =>
    [
        Of("§5.5", "an unknown frame within a header block", w => w.Headers(1, Get(), Flags.EndStream).Frame((FrameType)0x16, Flags.None, 1, [1]).Continuation(1, []), Allowed.Connection(ProtocolError), 1),
        Of("§5.5", "an unknown setting is ignored", w => w.Settings(((Setting)0xff00, 1)), Allowed.Alive),
        Of("§5.3.2", "a stream that depends on itself (RFC 9113 took the rule away)", w => w.Priority(1, dependsOn: 1), Allowed.Alive | Allowed.Stream(ProtocolError)),
        Of("§9.1", "a request and at once GOAWAY: the request is answered", w => w.Headers(1, Get()).GoAway(0), Allowed.Served, 1),
    ];

    /// <summary>When stream 1 has been answered.</summary>
    private static Http2Case After(string section, string name, Action<Http2Wire> write, Allowed allowed) => new(section, name, async wire =>
    {
        await wire.Headers(1, Get()).FlushAsync();
        Assert.Equal(new Outcome(OutcomeKind.Answered, 200), await ObserveAsync(wire, 1));
        write(wire);
        await wire.FlushAsync();
    }, allowed);
}
