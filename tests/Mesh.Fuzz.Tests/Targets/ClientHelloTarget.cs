using System.Buffers;
using Mesh.Server.Listening;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>The first bytes of a connection. However they come in pieces, the answer is the same, and once there is one, more bytes do not change it.</summary>
internal sealed class ClientHelloTarget : IFuzzTarget
{
    public string Name => "client-hello";

    public IReadOnlyList<byte[]> Corpus { get; } =
    [
        .. CorpusFiles.Of("client-hello"), .. CorpusFiles.Of("client-hello").Select(hello => Records(hello, 7)), .. CorpusFiles.Of("client-hello").Select(hello => Records(hello, 100)),
        "GET / HTTP/1.1\r\n\r\n"u8.ToArray(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray(), [0x16], [0x16, 3], [],
    ];

    public IReadOnlyList<IMutation> Mutations { get; } = [];

    public string Run(byte[] input)
    {
        var whole = ClientHello.Read(new ReadOnlySequence<byte>(input));
        foreach (var size in (ReadOnlySpan<int>)[1, 5, 64])
        {
            Holds.That(ClientHello.Read(Pieces(input, size)) == whole, $"in pieces of {size} it is {ClientHello.Read(Pieces(input, size))}, in one {whole}");
        }

        // Not each of them: a hello has thousands of bytes.
        var step = Math.Max(1, input.Length / 50);
        for (var length = 0; length < input.Length; length += step)
        {
            var sofar = ClientHello.Read(new ReadOnlySequence<byte>(input.AsMemory(0, length)));
            Holds.That(sofar == FirstBytes.Incomplete || sofar == whole, $"after {length} bytes it was {sofar}, after {input.Length} {whole}");
        }

        return whole.ToString();
    }

    private static ReadOnlySequence<byte> Pieces(byte[] bytes, int size)
    {
        Piece? first = null, last = null;
        for (var at = 0; at < bytes.Length; at += size)
        {
            last = new Piece(bytes.AsMemory(at, Math.Min(size, bytes.Length - at)), last);
            first ??= last;
        }

        return first is null ? ReadOnlySequence<byte>.Empty : new ReadOnlySequence<byte>(first, 0, last!, last!.Memory.Length);
    }

    /// <summary>The same hello in small records.</summary>
    private static byte[] Records(byte[] hello, int size)
    {
        var records = new List<byte>();
        foreach (var part in hello[5..].Chunk(size))
        {
            records.AddRange([0x16, 3, 1, (byte)(part.Length >> 8), (byte)part.Length, .. part]);
        }

        return [.. records];
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, Piece? before)
        {
            Memory = memory;
            if (before is not null)
            {
                RunningIndex = before.RunningIndex + before.Memory.Length;
                before.Next = this;
            }
        }
    }
}
