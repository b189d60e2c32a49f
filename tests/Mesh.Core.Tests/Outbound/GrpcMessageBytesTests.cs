using System.Buffers.Binary;
using Xunit;

namespace Mesh.Outbound;

public sealed class GrpcMessageBytesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(7)]
    [InlineData(1000)]
    [InlineData(int.MaxValue)]
    public void Add_CountsMessagesWithoutTheirHeads_HoweverTheyAreCut(int piece)
    {
        int[] lengths = [0, 1, 5, 300, 0, 70_000, 0];
        var stream = lengths.SelectMany(length =>
        {
            var frame = new byte[5 + length];
            // A flag for compression, and bytes of a message, that look like lengths.
            frame.AsSpan().Fill(0xff);
            BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), length);
            return frame;
        }).ToArray();
        var bytes = default(GrpcMessageBytes);

        foreach (var part in stream.Chunk(Math.Min(piece, stream.Length)))
        {
            bytes.Add(part);
        }

        Assert.Equal(lengths.Sum(), bytes.Total);
    }
}
