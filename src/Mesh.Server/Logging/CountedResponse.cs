using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;

namespace Mesh.Server.Logging;

/// <summary>A response's body as it is, counted. Used by one request.</summary>
internal sealed class CountedResponse(IHttpResponseBodyFeature inner) : IHttpResponseBodyFeature
{
    private CountedWriter? _writer;

    public IHttpResponseBodyFeature Inner => inner;

    /// <summary>Bytes so far.</summary>
    public long Count => _writer?.Count ?? 0;

    public Stream Stream => field ??= Writer.AsStream(leaveOpen: true);

    public PipeWriter Writer => _writer ??= new CountedWriter(inner.Writer);

    public void DisableBuffering() => inner.DisableBuffering();

    public Task StartAsync(CancellationToken cancellationToken = default) => inner.StartAsync(cancellationToken);

    public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default)
    {
        _ = Writer;
        _writer!.Count += count ?? (new FileInfo(path).Length - offset);
        return inner.SendFileAsync(path, offset, count, cancellationToken);
    }

    public Task CompleteAsync() => inner.CompleteAsync();

    private sealed class CountedWriter(PipeWriter inner) : PipeWriter
    {
        public long Count { get; set; }

        public override bool CanGetUnflushedBytes => inner.CanGetUnflushedBytes;

        public override long UnflushedBytes => inner.UnflushedBytes;

        public override void Advance(int bytes)
        {
            Count += bytes;
            inner.Advance(bytes);
        }

        public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
        {
            Count += source.Length;
            return inner.WriteAsync(source, cancellationToken);
        }

        public override Memory<byte> GetMemory(int sizeHint = 0) => inner.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => inner.GetSpan(sizeHint);

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

        public override void CancelPendingFlush() => inner.CancelPendingFlush();

        public override void Complete(Exception? exception = null) => inner.Complete(exception);

        public override ValueTask CompleteAsync(Exception? exception = null) => inner.CompleteAsync(exception);
    }
}
