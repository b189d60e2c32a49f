using Mesh.Conformance.Tests.Wire;
using static Mesh.Conformance.Tests.Http2.Http2Case;
using static Mesh.Conformance.Tests.Http2.Requests;
using static Mesh.Conformance.Tests.Wire.ErrorCode;

namespace Mesh.Conformance.Tests.Http2;

/// <summary>RFC 9113 §5.2, §6.9: windows of the client that the server has to keep to, and the other way round.</summary>
internal static class FlowControlCases
{
    private const int DefaultWindow = 65_535;

    public static IEnumerable<Http2Case> All =>
    [
        Of("§6.9", "WINDOW_UPDATE of the connection by 0", w => w.WindowUpdate(0, 0), Allowed.Connection(ProtocolError)),
        Of("§6.9", "WINDOW_UPDATE of a stream by 0", w => w.Headers(1, Get("/hold")).WindowUpdate(1, 0), Allowed.Stream(ProtocolError), 1),
        Of("§6.9", "WINDOW_UPDATE of three octets", w => w.Frame(FrameType.WindowUpdate, Flags.None, 0, new byte[3]), Allowed.Connection(FrameSizeError)),
        Of("§6.9", "WINDOW_UPDATE of five octets", w => w.Frame(FrameType.WindowUpdate, Flags.None, 0, new byte[5]), Allowed.Connection(FrameSizeError)),
        Of("§6.9", "WINDOW_UPDATE of a stream of five octets", w => w.Headers(1, Get("/hold")).Frame(FrameType.WindowUpdate, Flags.None, 1, new byte[5]), Allowed.Connection(FrameSizeError)),
        Of("§6.9", "the reserved bit of the increment is ignored", w => w.WindowUpdate(0, int.MinValue + 1), Allowed.Alive),
        Of("§6.9.1", "the connection's window above 2^31-1", w => w.WindowUpdate(0, int.MaxValue).WindowUpdate(0, 1), Allowed.Connection(FlowControlError)),
        Of("§6.9.1", "a stream's window above 2^31-1", w => w.Headers(1, Get("/hold")).WindowUpdate(1, int.MaxValue).WindowUpdate(1, 1), Allowed.Stream(FlowControlError), 1),
        Of("§6.9.1", "the connection's window at 2^31-1", w => w.WindowUpdate(0, int.MaxValue - DefaultWindow), Allowed.Alive),
        new("§6.9.2", "SETTINGS that lift a stream's window above 2^31-1", async w =>
        {
            await w.Headers(1, Get("/hold")).WindowUpdate(1, int.MaxValue - DefaultWindow).Settings((Setting.InitialWindowSize, DefaultWindow + 1)).FlushAsync();
        }, Allowed.Connection(FlowControlError)),
        new("§6.9.1", "a stream's window of 1: one octet, and the rest when there is room", async w =>
        {
            await w.Headers(1, Get("/bytes/10")).FlushAsync();
            var first = await w.NextDataAsync(1);
            Assert.Single(first.Payload);
            await NothingMore(w);
            await w.WindowUpdate(1, 9).FlushAsync();
            Assert.Equal(9, (await w.BodyAsync(1)).Sum(f => f.Payload.Length));
        }, Allowed.Alive) { Settings = [(Setting.InitialWindowSize, 1)] },
        new("§6.9.2", "SETTINGS open the windows of running streams", async w =>
        {
            await w.Headers(1, Get("/bytes/10")).FlushAsync();
            await NothingMore(w);
            await w.Settings((Setting.InitialWindowSize, 3)).FlushAsync();
            Assert.Equal(3, (await w.NextDataAsync(1)).Payload.Length);
            await w.Settings((Setting.InitialWindowSize, 100)).FlushAsync();
            Assert.Equal(7, (await w.BodyAsync(1)).Sum(f => f.Payload.Length));
        }, Allowed.Alive) { Settings = [(Setting.InitialWindowSize, 0)] },
        new("§6.9.2", "SETTINGS make a window negative: it has to be filled up first", async w =>
        {
            await w.Headers(1, Get("/bytes/10")).FlushAsync();
            Assert.Equal(5, (await w.NextDataAsync(1)).Payload.Length);
            await w.Settings((Setting.InitialWindowSize, 1)).WindowUpdate(1, 4).FlushAsync();
            await NothingMore(w);
            await w.WindowUpdate(1, 1).FlushAsync();
            Assert.Single((await w.NextDataAsync(1)).Payload);
        }, Allowed.Alive) { Settings = [(Setting.InitialWindowSize, 5)] },
        new("§6.9.1", "the connection's window holds all streams together", async w =>
        {
            await w.Headers(1, Get("/bytes/60000")).Headers(3, Get("/bytes/60000")).FlushAsync();
            var sent = 0;
            while (sent < DefaultWindow)
            {
                sent += await w.ReadAsync() is { Type: FrameType.Data } data ? data.Payload.Length : 0;
            }

            Assert.Equal(DefaultWindow, sent);
            await NothingMore(w);
            await w.WindowUpdate(0, 120_000 - DefaultWindow).FlushAsync();
            while (sent < 120_000)
            {
                sent += await w.ReadAsync() is { Type: FrameType.Data } data ? data.Payload.Length : 0;
            }
        }, Allowed.Alive) { Settings = [(Setting.InitialWindowSize, 1 << 20)] },
        new("§6.9.1", "SETTINGS do not open the connection's window", async w =>
        {
            await w.Headers(1, Get("/bytes/100000")).Settings((Setting.InitialWindowSize, int.MaxValue)).FlushAsync();
            var sent = 0;
            while (sent < DefaultWindow)
            {
                sent += await w.ReadAsync() is { Type: FrameType.Data } data ? data.Payload.Length : 0;
            }

            await NothingMore(w);
        }, Allowed.Alive),
        new("§6.9", "DATA beyond the windows, though the app takes none", async w =>
        {
            await w.Headers(1, Post("/hold"), Flags.EndHeaders).FlushAsync();
            // No server has to buffer 64 MB that nobody reads.
            for (var i = 0; i < 4096 && await w.Data(1, new byte[16384], Flags.None).FlushAsync(); i++)
            {
            }
        }, Allowed.Stream(FlowControlError), 1),
        new("§6.9", "empty DATA needs no window", async w =>
        {
            await w.Headers(1, Get("/bytes/0")).FlushAsync();
            Assert.Empty((await w.BodyAsync(1)).SelectMany(f => f.Payload));
        }, Allowed.Alive) { Settings = [(Setting.InitialWindowSize, 0)] },
        new("§6.9", "what the app has read is given back: four windows pass", async w =>
        {
            var window = Math.Max(DefaultWindow, w.ServerSettings.GetValueOrDefault(Setting.InitialWindowSize, DefaultWindow));
            await w.UploadAsync(1, Post(), new byte[window * 4]);
        }, Allowed.Status(200), 1) { Settings = [(Setting.InitialWindowSize, int.MaxValue)], Then = r => Assert.True(r.Single().Complete) },
    ];

    /// <summary>No DATA comes before the answer to a PING, sent after all that could have caused it.</summary>
    private static async Task NothingMore(Http2Wire wire)
    {
        for (var i = 0; i < 3; i++)
        {
            await wire.Ping("nothing?"u8).FlushAsync();
            while (await wire.ReadAsync() is { } frame && frame.Type != FrameType.Ping)
            {
                Assert.False(frame.Type == FrameType.Data && frame.Payload.Length > 0, $"{frame.Payload.Length} octets of DATA without a window.");
            }
        }
    }
}
