using System.Net;

namespace Mesh.Testing.Simulation;

/// <summary>The body of a simulated response: <see cref="Bytes"/> bytes that are there when the body has ended.</summary>
internal sealed class SimulatedContent : HttpContent
{
    public const int Bytes = 256;
    private readonly SimulatedExchange _exchange;

    public SimulatedContent(SimulatedExchange exchange)
    {
        _exchange = exchange;
        Headers.TryAddWithoutValidation("Content-Type", "application/octet-stream");
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => new BodyStream(_exchange).CopyToAsync(stream);

    protected override Task<Stream> CreateContentReadStreamAsync() => Task.FromResult<Stream>(new BodyStream(_exchange));

    protected override Stream CreateContentReadStream(CancellationToken cancellationToken) => new BodyStream(_exchange);

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        _exchange.Abandon();
        base.Dispose(disposing);
    }

    private sealed class BodyStream(SimulatedExchange exchange) : Stream
    {
        private int _left = Bytes;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await exchange.BodyAsync(cancellationToken).ConfigureAwait(false);
            var read = Math.Min(_left, buffer.Length);
            buffer.Span[..read].Clear();
            _left -= read;
            return read;
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override async Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken)
        {
            await exchange.BodyAsync(cancellationToken).ConfigureAwait(false);
            _left = 0;
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("The simulation never blocks.");

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            exchange.Abandon();
            base.Dispose(disposing);
        }
    }
}
