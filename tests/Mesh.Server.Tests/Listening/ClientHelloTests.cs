using System.Buffers;
using System.Buffers.Binary;
using System.Net.Security;
using Mesh.Server.Listening;
using Xunit;

namespace Mesh.Server.Tests.Listening;

public sealed class ClientHelloTests
{
    private static readonly SslApplicationProtocol Marker = Mesh.Identity.MeshTls.Marker;

    [Fact]
    public async Task Read_RealHello_FindsTheMarker()
    {
        Assert.Equal(FirstBytes.MeshTls, Read(await HelloAsync(Marker, SslApplicationProtocol.Http2)));
        Assert.Equal(FirstBytes.MeshTls, Read(await HelloAsync(SslApplicationProtocol.Http2, Marker)));
        Assert.Equal(FirstBytes.Tls, Read(await HelloAsync(SslApplicationProtocol.Http2)));
        Assert.Equal(FirstBytes.Tls, Read(await HelloAsync()));
    }

    [Fact]
    public async Task Read_EveryPrefix_AsksForMore()
    {
        var hello = await HelloAsync(Marker);
        for (var i = 0; i < hello.Length; i++)
        {
            Assert.Equal(FirstBytes.Incomplete, Read(hello[..i]));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(100)]
    public async Task Read_SplitOverRecordsAndPackets_FindsTheMarker(int size)
    {
        var message = (await HelloAsync(Marker, SslApplicationProtocol.Http2))[5..];
        var records = new MemoryStream();
        foreach (var part in message.Chunk(size))
        {
            records.Write([0x16, 3, 1, (byte)(part.Length >> 8), (byte)part.Length]);
            records.Write(part);
        }

        Assert.Equal(FirstBytes.MeshTls, Read(records.ToArray()));
        Assert.Equal(FirstBytes.MeshTls, ClientHello.Read(Segments(records.ToArray(), 7)));
    }

    [Fact]
    public async Task Read_PostQuantumSize_FindsTheMarker()
    {
        // An unknown extension as long as an ML-KEM key share, before ALPN.
        var hello = await HelloAsync(Marker);
        var message = hello.AsSpan(5).ToArray();
        var at = 4 + 34;
        at += 1 + message[at];
        at += 2 + BinaryPrimitives.ReadUInt16BigEndian(message.AsSpan(at));
        at += 1 + message[at];
        var extensions = BinaryPrimitives.ReadUInt16BigEndian(message.AsSpan(at));
        byte[] padding = [0xfa, 0xfa, 0x10, 0x00, .. new byte[4096]];
        byte[] larger = [.. message[..at], 0, 0, .. padding, .. message[(at + 2)..]];
        BinaryPrimitives.WriteUInt16BigEndian(larger.AsSpan(at), (ushort)(extensions + padding.Length));
        var length = larger.Length - 4;
        (larger[1], larger[2], larger[3]) = ((byte)(length >> 16), (byte)(length >> 8), (byte)length);
        byte[] record = [0x16, 3, 1, (byte)(larger.Length >> 8), (byte)larger.Length, .. larger];

        Assert.Equal(FirstBytes.MeshTls, Read(record));
        Assert.Equal(FirstBytes.MeshTls, ClientHello.Read(Segments(record, 1460)));

        // The same in records of 1 kB, as a stack that fragments it sends it, in packets that end elsewhere.
        byte[] records = [.. larger.Chunk(1024).SelectMany(part => (byte[])[0x16, 3, 1, (byte)(part.Length >> 8), (byte)part.Length, .. part])];
        Assert.Equal(FirstBytes.MeshTls, ClientHello.Read(Segments(records, 1460)));
        for (var i = 1; i < records.Length; i += 97)
        {
            Assert.Equal(FirstBytes.Incomplete, Read(records[..i]));
        }
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n")]
    [InlineData("\u0016\u0002xx")]
    public void Read_NoTls_IsPlain(string text) => Assert.Equal(FirstBytes.Plain, Read(System.Text.Encoding.Latin1.GetBytes(text)));

    [Theory]
    [InlineData("1603010000")] // an empty record
    [InlineData("160301ffff01")] // a record over the limit
    [InlineData("1603010004010fffff")] // a message over the limit
    [InlineData("160301000402000000")] // no ClientHello
    [InlineData("1603010001011503030002")] // an alert in the middle
    [InlineData("160301000401000000")] // an empty hello
    public void Read_Malformed_IsLeftToTheTlsStack(string hex) => Assert.Equal(FirstBytes.Tls, Read(Convert.FromHexString(hex)));

    [Fact]
    public async Task Read_AnyBytes_NeverThrows()
    {
        var hello = await HelloAsync(Marker, SslApplicationProtocol.Http2);
        var random = new Random(7);
        for (var i = 0; i < 50_000; i++)
        {
            var bytes = hello.ToArray();
            for (var n = random.Next(1, 6); n > 0; n--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            _ = Read(bytes[..random.Next(bytes.Length + 1)]);
        }
    }

    private static FirstBytes Read(byte[] bytes) => ClientHello.Read(new ReadOnlySequence<byte>(bytes));

    private static ReadOnlySequence<byte> Segments(byte[] bytes, int size)
    {
        Segment? first = null, last = null;
        foreach (var chunk in bytes.Chunk(size))
        {
            last = new Segment(chunk, last);
            first ??= last;
        }

        return new ReadOnlySequence<byte>(first!, 0, last!, last!.Memory.Length);
    }

    /// <summary>What SslStream really sends.</summary>
    private static async Task<byte[]> HelloAsync(params SslApplicationProtocol[] protocols)
    {
        var sent = new Recorder();
        await using var tls = new SslStream(sent);
        await Assert.ThrowsAnyAsync<IOException>(() => tls.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions { TargetHost = "mesh.invalid", ApplicationProtocols = [.. protocols] }, TestContext.Current.CancellationToken));
        return sent.ToArray();
    }

    private sealed class Recorder : MemoryStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(0);
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(byte[] bytes, Segment? previous)
        {
            Memory = bytes;
            if (previous is not null)
            {
                RunningIndex = previous.RunningIndex + previous.Memory.Length;
                previous.Next = this;
            }
        }
    }
}
