namespace Mesh.Outbound;

/// <summary>A stream that only moves forward: what a body is.</summary>
internal abstract class ForwardStream : Stream
{
    private const string OnlyForward = "A body only moves forward: it has no length and no position.";

    public sealed override bool CanSeek => false;

    public sealed override long Length => throw new NotSupportedException(OnlyForward);

    public sealed override long Position
    {
        get => throw new NotSupportedException(OnlyForward);
        set => throw new NotSupportedException(OnlyForward);
    }

    public sealed override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException(OnlyForward);

    public sealed override void SetLength(long value) => throw new NotSupportedException(OnlyForward);
}
