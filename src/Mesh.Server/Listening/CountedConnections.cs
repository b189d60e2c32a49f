using System.IO.Pipelines;
using Mesh.Hosting;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Connections;

namespace Mesh.Server.Listening;

/// <summary>Counts connections whose bytes only the app understands: that they are there, and what goes over them. Thread-safe.</summary>
internal sealed class CountedConnections(MetricAggregate aggregate, LocalNode node, ConnectionPairs pairs, TimeProvider time)
{
    /// <summary>From now on until it closes. Nobody has read of it, nor written to it.</summary>
    public void Begin(ConnectionContext connection, MeshConnectionFeature mesh)
    {
        if (aggregate.IsOff)
        {
            return;
        }

        // In the clear, or in TLS of the app's own: nobody says who it is.
        var meter = pairs.Begin(new ConnectionPair(IsInbound: true, MeshTags.Unmeshed, string.Empty, node.Workload, node.Namespace, mesh.IsMeshTls));
        var pipe = new CountedPipe(connection.Transport, meter);
        connection.Transport = pipe;
        var started = time.GetTimestamp();
        connection.ConnectionClosed.UnsafeRegister(
            _ =>
            {
                meter.Dispose();
                Record(mesh, pipe.Failed, time.GetElapsedTime(started));
            },
            null);
    }

    private void Record(MeshConnectionFeature mesh, bool failed, TimeSpan duration) => aggregate.Get(
        MeshTags.ServerConnectionDuration,
        new(MeshTags.Direction, MeshTags.Inbound),
        new(MeshTags.Source, MeshTags.Unmeshed),
        new(MeshTags.SourceNamespace, string.Empty),
        new(MeshTags.Destination, node.Workload),
        new(MeshTags.DestinationNamespace, node.Namespace),
        new(MeshTags.Outcome, failed ? MeshTags.Failure : MeshTags.Success),
        new(MeshTags.Tls, mesh.IsMeshTls ? "mesh" : "none"),
        new(MeshTags.Endpoint, mesh.Endpoint)).Record(duration);
}

/// <summary>A connection's two pipes, whose bytes are counted as the app takes and gives them. One reader, one writer.</summary>
internal sealed class CountedPipe : IDuplexPipe
{
    private readonly CountedReader _input;
    private readonly CountedWriter _output;

    public CountedPipe(IDuplexPipe inner, ConnectionMeter meter) =>
        (_input, _output) = (new CountedReader(inner.Input, meter), new CountedWriter(inner.Output, meter));

    public PipeReader Input => _input;

    public PipeWriter Output => _output;

    /// <summary>It broke before either side had ended it.</summary>
    public bool Failed => _input.Failed;

    private sealed class CountedReader(PipeReader inner, ConnectionMeter meter) : PipeReader
    {
        // What is there to be taken; of the last read.
        private System.Buffers.ReadOnlySequence<byte> _given;

        public bool Failed { get; private set; }

        public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
        {
            try
            {
                return Given(await inner.ReadAsync(cancellationToken).ConfigureAwait(false));
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                Failed = true;
                throw;
            }
        }

        public override bool TryRead(out ReadResult result)
        {
            var read = inner.TryRead(out result);
            if (read)
            {
                Given(result);
            }

            return read;
        }

        public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

        public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
        {
            // The memory is given back with it: first counted, then advanced.
            var taken = _given.IsEmpty ? 0 : _given.Slice(_given.Start, consumed).Length;
            _given = default;
            inner.AdvanceTo(consumed, examined);
            if (taken > 0)
            {
                meter.Forth((int)taken);
            }
        }

        public override void CancelPendingRead() => inner.CancelPendingRead();

        public override void Complete(Exception? exception = null) => inner.Complete(exception);

        public override ValueTask CompleteAsync(Exception? exception = null) => inner.CompleteAsync(exception);

        private ReadResult Given(ReadResult result)
        {
            _given = result.Buffer;
            return result;
        }
    }

    private sealed class CountedWriter(PipeWriter inner, ConnectionMeter meter) : PipeWriter
    {
        public override bool CanGetUnflushedBytes => inner.CanGetUnflushedBytes;

        public override long UnflushedBytes => inner.UnflushedBytes;

        public override void Advance(int bytes)
        {
            inner.Advance(bytes);
            if (bytes > 0)
            {
                meter.Back(bytes);
            }
        }

        public override Memory<byte> GetMemory(int sizeHint = 0) => inner.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => inner.GetSpan(sizeHint);

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

        public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
        {
            if (!source.IsEmpty)
            {
                meter.Back(source.Length);
            }

            return inner.WriteAsync(source, cancellationToken);
        }

        public override void CancelPendingFlush() => inner.CancelPendingFlush();

        public override void Complete(Exception? exception = null) => inner.Complete(exception);

        public override ValueTask CompleteAsync(Exception? exception = null) => inner.CompleteAsync(exception);
    }
}
