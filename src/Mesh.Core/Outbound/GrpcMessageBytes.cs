using System.Net;

namespace Mesh.Outbound;

/// <summary>How long the messages of one direction were, from the bytes that pass: each has a head of 5 bytes, a flag and its length. Nothing is kept. Not thread-safe: a body moves in one flow.</summary>
internal struct GrpcMessageBytes
{
    private const int HeadBytes = 5;
    private int _head;
    private uint _length;
    private uint _left;
    private long _total;

    /// <summary>Bytes of messages so far, as they were carried (compressed, if they are). Read by others too.</summary>
    public readonly long Total => Volatile.Read(in _total);

    public void Add(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_left > 0)
            {
                var part = (int)Math.Min(_left, (uint)bytes.Length);
                Volatile.Write(ref _total, _total + part);
                _left -= (uint)part;
                bytes = bytes[part..];
                continue;
            }

            // The flag is no part of the length.
            _length = _head == 0 ? 0 : (_length << 8) | bytes[0];
            bytes = bytes[1..];
            if (++_head == HeadBytes)
            {
                (_left, _head) = (_length, 0);
            }
        }
    }
}

/// <summary>What one attempt of a gRPC call sent and received; there while somebody listens to that alone.</summary>
internal sealed class GrpcSizes
{
    public GrpcMessageBytes Sent;
    public GrpcMessageBytes Received;
}

/// <summary>A request body that is measured while it is sent.</summary>
internal sealed class MeasuredContent : HttpContent
{
    private readonly GrpcSizes _sizes;

    public MeasuredContent(HttpContent inner, GrpcSizes sizes)
    {
        (Inner, _sizes) = (inner, sizes);
        HttpHeaderCopy.Copy(inner.Headers, Headers);
    }

    public HttpContent Inner { get; }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        // A connection that went away may ask a second time: what the first one got was not sent.
        _sizes.Sent = default;
        var measured = new MeasuringStream(_sizes, stream);
        await using (measured.ConfigureAwait(false))
        {
            await Inner.CopyToAsync(measured, context, cancellationToken).ConfigureAwait(false);
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = Inner.Headers.ContentLength ?? 0;
        return Inner.Headers.ContentLength is not null;
    }

    private sealed class MeasuringStream(GrpcSizes sizes, Stream inner) : ForwardStream
    {
        public override bool CanRead => false;

        public override bool CanWrite => true;

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            sizes.Sent.Add(buffer);
            inner.Write(buffer);
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            sizes.Sent.Add(buffer.Span);
            return inner.WriteAsync(buffer, cancellationToken);
        }

        public override void Flush() => inner.Flush();

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("A request body is written, not read.");
    }
}
