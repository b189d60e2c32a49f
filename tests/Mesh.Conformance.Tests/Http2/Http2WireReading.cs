using Mesh.Conformance.Tests.Wire;

namespace Mesh.Conformance.Tests.Http2;

internal static class Http2WireReading
{
    public static async Task<Frame> NextDataAsync(this Http2Wire wire, int stream)
    {
        while (await wire.ReadAsync() is { } frame)
        {
            if (frame.Type == FrameType.Data && frame.Stream == stream && frame.Payload.Length > 0)
            {
                return frame;
            }
        }

        throw new IOException("The server closed the connection.");
    }

    /// <summary>DATA of a stream up to its end.</summary>
    public static async Task<List<Frame>> BodyAsync(this Http2Wire wire, int stream)
    {
        var frames = new List<Frame>();
        while (await wire.ReadAsync() is { } frame)
        {
            Assert.False(frame.Type is FrameType.RstStream or FrameType.GoAway && frame.Error != ErrorCode.NoError, $"{frame.Type}");
            if (frame.Stream == stream && frame.Type == FrameType.Data)
            {
                frames.Add(frame);
            }

            if (frame.Stream == stream && frame.EndsStream)
            {
                return frames;
            }
        }

        throw new IOException("The server closed the connection.");
    }

    /// <summary>Sends a body within the server's windows. All but the last frame of it: what follows is read by the caller.</summary>
    public static async Task UploadAsync(this Http2Wire wire, int stream, byte[] block, byte[] body)
    {
        var window = (long)wire.ServerSettings.GetValueOrDefault(Setting.InitialWindowSize, 65_535);
        await wire.WindowUpdate(0, int.MaxValue - 65_535).Headers(stream, block, Flags.EndHeaders).FlushAsync();
        for (var sent = 0; sent < body.Length;)
        {
            while (wire.TryRead(out var frame))
            {
                Count(frame);
            }

            var room = (int)Math.Min(Math.Min(wire.Window, window), Math.Min(16_384, body.Length - sent));
            if (room == 0)
            {
                Count(await wire.ReadAsync() ?? throw new IOException("The server closed the connection."));
                continue;
            }

            await wire.Data(stream, body.AsSpan(sent, room), sent + room == body.Length ? Flags.EndStream : Flags.None).FlushAsync();
            sent += room;
            wire.Window -= room;
            window -= room;
        }

        void Count(Frame frame)
        {
            Assert.False(frame.Type is FrameType.RstStream or FrameType.GoAway, $"{frame.Type}");
            if (frame.Type == FrameType.WindowUpdate)
            {
                window += frame.Stream == stream ? frame.Increment : 0;
            }
        }
    }
}
