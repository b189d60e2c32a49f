using Mesh.Conformance.Tests.Wire;
using static Mesh.Conformance.Tests.Http2.Http2Case;
using static Mesh.Conformance.Tests.Http2.Requests;
using static Mesh.Conformance.Tests.Wire.ErrorCode;

namespace Mesh.Conformance.Tests.Http2;

/// <summary>RFC 9113 §6: each frame type's own rules. Flow control has its own file.</summary>
internal static class FrameTypeCases
{
    private const Flags Open = Flags.EndHeaders;
    private const Flags Last = Flags.EndHeaders | Flags.EndStream;

    public static IEnumerable<Http2Case> All => [.. Data, .. Headers, .. Priority, .. Reset, .. Settings, .. Push, .. Ping, .. GoAway, .. Continuation, .. Codes];

    private static IEnumerable<Http2Case> Data =>
    [
        Of("§6.1", "DATA on stream 0", w => w.Data(0, [1]), Allowed.Connection(ProtocolError)),
        Of("§6.1", "padding as long as the payload", w => w.Headers(1, Post("/hold"), Open).Data(1, [4, 0, 0, 0], Flags.Padded | Flags.EndStream), Allowed.Connection(ProtocolError), 1),
        Of("§6.1", "padding longer than the payload", w => w.Headers(1, Post("/hold"), Open).Data(1, [255, 0, 0, 0], Flags.Padded | Flags.EndStream), Allowed.Connection(ProtocolError), 1),
        Of("§6.1", "PADDED and an empty payload", w => w.Headers(1, Post("/hold"), Open).Data(1, [], Flags.Padded | Flags.EndStream), Allowed.Stream(ProtocolError, FrameSizeError), 1),
        Of("§6.1", "padding is not part of the body", w => w.Headers(1, Post(), Open).Data(1, [3, (byte)'o', (byte)'k', 0, 0, 0], Flags.Padded | Flags.EndStream), Allowed.Served, 1)
            with { Then = r => Assert.Equal("ok", r.Single().Body) },
        Of("§6.1", "all of DATA is padding", w => w.Headers(1, Post(), Open).Data(1, [2, 0, 0], Flags.Padded | Flags.EndStream), Allowed.Served, 1) with { Then = r => Assert.Equal("", r.Single().Body) },
        Of("§6.1", "empty DATA with END_STREAM ends the body", w => w.Headers(1, Post(), Open).Data(1, "ok"u8, Flags.None).Data(1, []), Allowed.Served, 1) with { Then = r => Assert.Equal("ok", r.Single().Body) },
    ];

    private static IEnumerable<Http2Case> Headers =>
    [
        Of("§6.2", "HEADERS on stream 0", w => w.Headers(0, Get()), Allowed.Connection(ProtocolError)),
        Of("§6.2", "padding longer than the payload", w => w.Headers(1, [255, .. Get()], Last | Flags.Padded), Allowed.Connection(ProtocolError), 1),
        Of("§6.2", "padding as long as the payload", w => w.Headers(1, [4, 0, 0, 0], Last | Flags.Padded), Allowed.Connection(ProtocolError), 1),
        Of("§6.2", "PADDED and an empty payload", w => w.Headers(1, [], Last | Flags.Padded), Allowed.Connection(ProtocolError, FrameSizeError), 1),
        Of("§6.2", "PRIORITY and a payload of four octets", w => w.Headers(1, new byte[4], Last | Flags.Priority), Allowed.Connection(ProtocolError, FrameSizeError), 1),
        Of("§6.2", "padding and priority that are in order", w => w.Headers(1, [3, .. Http2Wire.Number(0), 15, .. Get(), 0, 0, 0], Last | Flags.Padded | Flags.Priority), Allowed.Served, 1),
        Of("§6.2", "padding over the priority's fields", w => w.Headers(1, [4, .. Http2Wire.Number(0), 15], Last | Flags.Padded | Flags.Priority), Allowed.Connection(ProtocolError, FrameSizeError), 1),
    ];

    private static IEnumerable<Http2Case> Priority =>
    [
        Of("§6.3", "PRIORITY on stream 0", w => w.Priority(0), Allowed.Connection(ProtocolError)),
        Of("§6.3", "PRIORITY of four octets", w => w.Headers(1, Get("/hold")).Frame(FrameType.Priority, Flags.None, 1, new byte[4]), Allowed.Stream(FrameSizeError), 1),
        Of("§6.3", "PRIORITY of six octets", w => w.Headers(1, Get("/hold")).Frame(FrameType.Priority, Flags.None, 1, new byte[6]), Allowed.Stream(FrameSizeError), 1),
    ];

    private static IEnumerable<Http2Case> Reset =>
    [
        Of("§6.4", "RST_STREAM on stream 0", w => w.Reset(0), Allowed.Connection(ProtocolError)),
        Of("§6.4", "RST_STREAM of three octets", w => w.Headers(1, Get("/hold")).Frame(FrameType.RstStream, Flags.None, 1, new byte[3]), Allowed.Connection(FrameSizeError)),
        Of("§6.4", "RST_STREAM of five octets", w => w.Headers(1, Get("/hold")).Frame(FrameType.RstStream, Flags.None, 1, new byte[5]), Allowed.Connection(FrameSizeError)),
    ];

    private static IEnumerable<Http2Case> Settings =>
    [
        Of("§6.5", "an acknowledgement with a payload", w => w.Frame(FrameType.Settings, Flags.Ack, 0, new byte[6]), Allowed.Connection(FrameSizeError)),
        Of("§6.5", "SETTINGS on a stream", w => w.Frame(FrameType.Settings, Flags.None, 1, new byte[6]), Allowed.Connection(ProtocolError)),
        Of("§6.5", "a length that is no multiple of six", w => w.Frame(FrameType.Settings, Flags.None, 0, new byte[5]), Allowed.Connection(FrameSizeError)),
        Of("§6.5.2", "ENABLE_PUSH 2", w => w.Settings((Setting.EnablePush, 2)), Allowed.Connection(ProtocolError)),
        Of("§6.5.2", "INITIAL_WINDOW_SIZE 2^31", w => w.Settings((Setting.InitialWindowSize, int.MinValue)), Allowed.Connection(FlowControlError)),
        Of("§6.5.2", "MAX_FRAME_SIZE 16383", w => w.Settings((Setting.MaxFrameSize, 16383)), Allowed.Connection(ProtocolError)),
        Of("§6.5.2", "MAX_FRAME_SIZE 2^24", w => w.Settings((Setting.MaxFrameSize, 1 << 24)), Allowed.Connection(ProtocolError)),
        Of("§6.5.2", "all settings at their extremes", w => w.Settings((Setting.HeaderTableSize, 0), (Setting.EnablePush, 0), (Setting.MaxConcurrentStreams, 0), (Setting.InitialWindowSize, int.MaxValue), (Setting.MaxFrameSize, (1 << 24) - 1), (Setting.MaxHeaderListSize, -1)), Allowed.Alive),
        new("§6.5.3", "every SETTINGS is acknowledged, in order with what follows", async w =>
        {
            await w.Settings((Setting.EnablePush, 0)).Settings().Ping(new byte[8]).FlushAsync();
            Assert.Equal(
                [(FrameType.Settings, Flags.Ack), (FrameType.Settings, Flags.Ack), (FrameType.Ping, Flags.Ack)],
                [await Next(w), await Next(w), await Next(w)]);
        }, Allowed.Alive),
        new("§6.5.2", "no frame is above the MAX_FRAME_SIZE that we left as it is", async w =>
        {
            await w.WindowUpdate(0, 1 << 20).Headers(1, Get("/bytes/100000")).FlushAsync();
            Assert.Equal(100_000, (await w.BodyAsync(1)).Sum(f => f.Payload.Length));
        }, Allowed.Alive) { Settings = [(Setting.InitialWindowSize, 1 << 20)] },
        new("§6.5.2", "with HEADER_TABLE_SIZE 0 the server refers to no dynamic entry", async w =>
        {
            w.Tables.Limit = 0;
            w.Tables.Resize(0);
            for (var stream = 1; stream < 7; stream += 2)
            {
                await w.Headers(stream, Get("/field", ("x-value", "again"))).FlushAsync();
                Assert.Equal(new Outcome(OutcomeKind.Answered, 200), await ObserveAsync(w, stream));
            }
        }, Allowed.Alive) { Settings = [(Setting.HeaderTableSize, 0)] },
    ];

    private static IEnumerable<Http2Case> Push =>
    [
        Of("§8.4", "PUSH_PROMISE from a client", w => w.Headers(1, Get("/hold")).Frame(FrameType.PushPromise, Flags.EndHeaders, 1, [.. Http2Wire.Number(2), .. Get()]), Allowed.Connection(ProtocolError)),
    ];

    private static IEnumerable<Http2Case> Ping =>
    [
        new("§6.7", "PING is answered with the same payload", async w =>
        {
            await w.Ping("12345678"u8).FlushAsync();
            var answer = await w.ReadAsync();
            Assert.True(answer is { Type: FrameType.Ping, Flags: Flags.Ack, Stream: 0 } && answer.Payload.AsSpan().SequenceEqual("12345678"u8));
        }, Allowed.Alive),
        new("§6.7", "an acknowledgement is not answered", async w =>
        {
            await w.Ping("12345678"u8, Flags.Ack).Ping("87654321"u8).FlushAsync();
            Assert.Equal("87654321"u8.ToArray(), (await w.ReadAsync())!.Payload);
        }, Allowed.Alive),
        Of("§6.7", "PING on a stream", w => w.Ping(new byte[8], stream: 1), Allowed.Connection(ProtocolError)),
        Of("§6.7", "PING of seven octets", w => w.Ping(new byte[7]), Allowed.Connection(FrameSizeError)),
        Of("§6.7", "PING of nine octets", w => w.Ping(new byte[9]), Allowed.Connection(FrameSizeError)),
        Of("§6.7", "an acknowledgement of six octets", w => w.Ping(new byte[6], Flags.Ack), Allowed.Connection(FrameSizeError)),
    ];

    private static IEnumerable<Http2Case> GoAway =>
    [
        Of("§6.8", "GOAWAY on a stream", w => w.GoAway(0, stream: 1), Allowed.Connection(ProtocolError)),
        Of("§6.8", "GOAWAY of seven octets", w => w.Frame(FrameType.GoAway, Flags.None, 0, new byte[7]), Allowed.Connection(FrameSizeError)),
        Of("§6.8", "a request that runs when GOAWAY comes is answered", w => w.Headers(1, Post(), Open).GoAway(0).Data(1, "ok"u8), Allowed.Served, 1) with { Then = r => Assert.Equal("ok", r.Single().Body) },
    ];

    private static IEnumerable<Http2Case> Continuation =>
    [
        Of("§6.10", "a block in three frames", w => w.Headers(1, Get().AsSpan()[..5], Flags.EndStream).Continuation(1, Get().AsSpan()[5..20], Flags.None).Continuation(1, Get().AsSpan()[20..]), Allowed.Served, 1),
        Of("§6.10", "an empty HEADERS and an empty CONTINUATION among others", w => w.Headers(1, [], Flags.EndStream).Continuation(1, Get(), Flags.None).Continuation(1, []), Allowed.Served, 1),
        Of("§6.10", "a field split within its value", w => w.Headers(1, Get("/field", ("x-value", "split here")).AsSpan()[..^3], Flags.EndStream).Continuation(1, "ere"u8), Allowed.Served, 1)
            with { Then = r => Assert.Equal("split here", r.Single().Headers["x-value"]) },
        Of("§6.10", "CONTINUATION on stream 0", w => w.Headers(1, Get(), Flags.EndStream).Continuation(0, []), Allowed.Connection(ProtocolError)),
        Of("§6.10", "CONTINUATION of another stream", w => w.Headers(1, Get(), Flags.EndStream).Continuation(3, []), Allowed.Connection(ProtocolError)),
        Of("§6.10", "CONTINUATION after END_HEADERS", w => w.Headers(1, Post("/hold"), Open).Continuation(1, Hpack.Block(("x-value", "1"))), Allowed.Connection(ProtocolError)),
        Of("§6.10", "CONTINUATION after DATA", w => w.Headers(1, Post("/hold"), Open).Data(1, [1], Flags.None).Continuation(1, []), Allowed.Connection(ProtocolError)),
    ];

    private static IEnumerable<Http2Case> Codes =>
    [
        Of("§7", "RST_STREAM with an unknown code", w => w.Headers(1, Get("/hold")).Reset(1, (ErrorCode)0xff).Headers(3, Get()), Allowed.Served, 3),
        Of("§7", "GOAWAY with an unknown code", w => w.Headers(1, Get()).GoAway(0, (ErrorCode)0xff), Allowed.Served | Allowed.Connection(NoError), 1),
    ];

    private static async Task<(FrameType, Flags)> Next(Http2Wire wire) => await wire.ReadAsync() is { } frame ? (frame.Type, frame.Flags) : default;
}
