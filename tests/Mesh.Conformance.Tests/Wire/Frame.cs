using System.Buffers.Binary;

namespace Mesh.Conformance.Tests.Wire;

/// <summary>RFC 9113 §6.</summary>
internal enum FrameType : byte
{
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
}

/// <summary>RFC 9113 §6.5.2.</summary>
internal enum Setting : ushort
{
    HeaderTableSize = 1,
    EnablePush,
    MaxConcurrentStreams,
    InitialWindowSize,
    MaxFrameSize,
    MaxHeaderListSize,
    EnableConnectProtocol = 8,
}

/// <summary>The flags that a frame type defines; END_STREAM and ACK are the same bit.</summary>
[Flags]
#pragma warning disable CA1069 // RFC 9113 has them so
internal enum Flags : byte
{
    None = 0,
    EndStream = 1,
    Ack = 1,
    EndHeaders = 4,
    Padded = 8,
    Priority = 32,
}
#pragma warning restore CA1069

internal sealed record Frame(FrameType Type, Flags Flags, int Stream, byte[] Payload)
{
    public const int HeaderLength = 9;

    /// <summary>What the server said of a stream's end or of the connection's.</summary>
    public ErrorCode Error => (ErrorCode)BinaryPrimitives.ReadInt32BigEndian(Payload.AsSpan(Type == FrameType.GoAway ? 4 : 0));

    public int Increment => BinaryPrimitives.ReadInt32BigEndian(Payload) & int.MaxValue;

    public bool EndsStream => Type is FrameType.Data or FrameType.Headers && Flags.HasFlag(Flags.EndStream);

    /// <param name="length">What the header says, where it is not the payload's length.</param>
    /// <param name="reserved">The reserved bit before the stream's id.</param>
    public static byte[] Encode(FrameType type, Flags flags, int stream, ReadOnlySpan<byte> payload, int? length = null, bool reserved = false)
    {
        var bytes = new byte[HeaderLength + payload.Length];
        var said = length ?? payload.Length;
        bytes[0] = (byte)(said >> 16);
        bytes[1] = (byte)(said >> 8);
        bytes[2] = (byte)said;
        bytes[3] = (byte)type;
        bytes[4] = (byte)flags;
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(5), (uint)stream | (reserved ? 0x8000_0000 : 0));
        payload.CopyTo(bytes.AsSpan(HeaderLength));
        return bytes;
    }
}
