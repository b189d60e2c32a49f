using System.Buffers.Binary;
using Mesh.Conformance.Tests.Http2;
using Mesh.Conformance.Tests.Wire;

namespace Mesh.Conformance.Tests.Hostile;

/// <summary>Frames as bytes, for clients that write many and read none.</summary>
internal static class Frames
{
    private const Flags Last = Flags.EndHeaders | Flags.EndStream;

    public static byte[] Settings(params (Setting Name, int Value)[] settings)
    {
        var payload = new byte[settings.Length * 6];
        for (var i = 0; i < settings.Length; i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(payload.AsSpan(i * 6), (ushort)settings[i].Name);
            BinaryPrimitives.WriteInt32BigEndian(payload.AsSpan((i * 6) + 2), settings[i].Value);
        }

        return Frame.Encode(FrameType.Settings, Flags.None, 0, payload);
    }

    public static byte[] Get(int stream, string path = "/") => Frame.Encode(FrameType.Headers, Last, stream, Requests.Get(path));

    public static byte[] Post(int stream, string path = "/") => Frame.Encode(FrameType.Headers, Flags.EndHeaders, stream, Requests.Post(path));

    public static byte[] Data(int stream, byte[] data) => Frame.Encode(FrameType.Data, Flags.None, stream, data);

    public static byte[] Reset(int stream) => Frame.Encode(FrameType.RstStream, Flags.None, stream, Http2Wire.Number((int)ErrorCode.Cancel));

    public static byte[] WindowUpdate(int stream, int increment) => Frame.Encode(FrameType.WindowUpdate, Flags.None, stream, Http2Wire.Number(increment));

    public static byte[] Ping { get; } = Frame.Encode(FrameType.Ping, Flags.None, 0, new byte[8]);

    /// <summary>The same for streams 1, 3, 5 …</summary>
    public static byte[] Streams(int count, Func<int, byte[]> frames) => [.. Enumerable.Range(0, count).SelectMany(i => frames((i * 2) + 1))];

    public static byte[] Times(int count, byte[] frames) => [.. Enumerable.Range(0, count).SelectMany(_ => frames)];
}
