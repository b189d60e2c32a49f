using Mesh.Outbound;

namespace Mesh.Server.Logging;

/// <summary>A request's body as it is, counted. Used by one request.</summary>
internal sealed class CountedRequest(Stream inner) : ForwardStream
{
    /// <summary>Bytes so far.</summary>
    public long Count { get; private set; }

    public override bool CanRead => true;

    public override bool CanWrite => false;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => Counted(await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false));

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => Counted(inner.Read(buffer, offset, count));

    public override void Flush() => inner.Flush();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("A request's body is read, not written.");

    private int Counted(int read)
    {
        Count += read;
        return read;
    }
}
