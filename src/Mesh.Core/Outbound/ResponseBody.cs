using System.Net;
using System.Runtime.CompilerServices;
using Mesh.Resilience;

namespace Mesh.Outbound;

/// <summary>A response's body: its end, and not the headers, ends the attempt, and the call when this response went to the app.</summary>
internal sealed class ResponseBody : HttpContent
{
    private readonly OutboundAttempt _attempt;

    // What the headers said.
    private readonly AttemptResult _answer;
    private readonly HttpResponseMessage _response;
    private readonly HttpContent _inner;
    private AttemptWatch? _watch;
    private int _state;
    private long _read;
    private volatile bool _expired;

    /// <param name="watch">Keeps the attempt's time; null when no time of its own is armed.</param>
    public ResponseBody(OutboundAttempt attempt, AttemptResult answer, HttpResponseMessage response, AttemptWatch? watch = null)
    {
        (_attempt, _answer, _response, _inner, _watch) = (attempt, answer, response, response.Content, watch);
        HttpHeaderCopy.Copy(_inner.Headers, Headers);
        watch?.Answered(this);
    }

    /// <summary>The app dropped the response without reading or disposing it, which HttpClient forgives: without this the call would be in flight for ever.</summary>
    ~ResponseBody() => End(new(AttemptEnd.Cancelled));

    // What _state says.
    private const int Open = 0;
    private const int Committed = 1;
    private const int Ended = 2;

    /// <summary>This response goes to the app: its end ends the call from now on. False when it has ended already.</summary>
    public bool TryCommit() => Interlocked.CompareExchange(ref _state, Committed, Open) == Open;

    /// <summary>The response, once the app has it and until it ends.</summary>
    public HttpResponseMessage? Given => Volatile.Read(ref _state) == Committed ? _response : null;

    /// <summary>The call's time ends while the body streams: the body is aborted then.</summary>
    /// <param name="reason">One of the words of <see cref="Telemetry.Decisions.Timeout"/>.</param>
    public void ArmDeadline(TimeProvider time, TimeSpan left, string reason)
    {
        _watch ??= new AttemptWatch(time, this);
        _watch.ArmDeadline(left, reason);
        if (Volatile.Read(ref _state) == Ended)
        {
            _watch.Dispose();
        }
    }

    /// <summary>A limit of time is reached: the body is aborted.</summary>
    /// <param name="reason">One of the words of <see cref="Telemetry.Decisions.Timeout"/>.</param>
    public void Expire(string reason)
    {
        _expired = true;
        if (Volatile.Read(ref _state) != Ended)
        {
            // Before the end, which closes the call's span.
            _attempt.Call.Pipeline.Telemetry.Decide(_attempt.Call, Telemetry.Decisions.Timeout, reason);
        }

        End(new(AttemptEnd.Timeout));
        _inner.Dispose();
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        try
        {
            // Straight from the stream: by way of the inner content's own copying it would take two state machines more, by way of ReadAsStreamAsync a task.
#pragma warning disable VSTHRD103, CA1849 // SocketsHttpHandler's content hands its stream out without waiting
            var source = _inner.ReadAsStream(cancellationToken);
#pragma warning restore VSTHRD103, CA1849
            var read = _watch is null && _attempt.Call.Sizes is null ? source : new BodyStream(this, source);
            await using (read.ConfigureAwait(false))
            {
                await read.CopyToAsync(stream, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            throw Broken(e);
        }

        Completed();
    }

    protected override async Task<Stream> CreateContentReadStreamAsync() => new BodyStream(this, await _inner.ReadAsStreamAsync().ConfigureAwait(false));

    protected override Stream CreateContentReadStream(CancellationToken cancellationToken) => new BodyStream(this, _inner.ReadAsStream(cancellationToken));

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            End(LeftEarly);
            _inner.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Judged by what the headers said; but a gRPC call that has no status yet was given up by its caller.</summary>
    private AttemptResult LeftEarly => _attempt.Call.IsGrpc && _answer is { HttpStatus: 200, GrpcStatus: < 0 } ? new(AttemptEnd.Cancelled) : _answer;

    private void Completed()
    {
        var result = _answer;
        if (_attempt.Call.IsGrpc && OutboundErrors.GrpcStatus(_response.TrailingHeaders) is >= 0 and var status)
        {
            result = result with { GrpcStatus = status };
            _attempt.Heed(_response, result);
        }

        End(result);
    }

    private Exception Broken(Exception e)
    {
        // Whoever gives a call up ends its request's body too, and that may be what the read fails with. But who leaves with all of a response gives nothing up.
        End(_expired ? new(AttemptEnd.Timeout)
            : e is not OperationCanceledException && !_attempt.Call.IsGivenUp ? new(AttemptEnd.Reset)
            : _read > 0 && _inner.Headers.ContentLength == _read ? LeftEarly
            : new(AttemptEnd.Cancelled));
        return _expired ? new HttpIOException(HttpRequestError.ResponseEnded, "The call's time was over before its response ended.", new TimeoutException()) : e;
    }

    private void End(AttemptResult result)
    {
        var before = Interlocked.Exchange(ref _state, Ended);
        if (before == Ended)
        {
            return;
        }

#pragma warning disable CA1816 // the finalizer only ends; whoever ends first makes it needless, and a body that was read is often not disposed
        GC.SuppressFinalize(this);
#pragma warning restore CA1816
        _watch?.Dispose();
        _attempt.ReadLoad(_response);
        _attempt.End(result);
        if (before == Committed)
        {
            _attempt.Call.Pipeline.Telemetry.EndCall(_attempt.Call, result, (int)_response.StatusCode, _response.Version, _response);
        }
    }

    private sealed class BodyStream(ResponseBody body, Stream inner) : ForwardStream
    {
        public override bool CanRead => inner.CanRead;

        // An upgraded connection is written to through its response.
        public override bool CanWrite => inner.CanWrite;

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            try
            {
                return Done(inner.Read(buffer), buffer);
            }
            catch (Exception e) when (e is not NotSupportedException)
            {
                throw body.Broken(e);
            }
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                return Done(await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false), buffer.Span);
            }
            catch (Exception e)
            {
                throw body.Broken(e);
            }
        }

        public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);

        public override void Write(ReadOnlySpan<byte> buffer) => inner.Write(buffer);

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            body._watch?.Touch();
            return inner.WriteAsync(buffer, cancellationToken);
        }

        public override void Flush() => inner.Flush();

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                inner.Dispose();
                body.End(body.LeftEarly);
            }

            base.Dispose(disposing);
        }

        private int Done(int read, ReadOnlySpan<byte> buffer)
        {
            body._watch?.Touch();
            body._read += read;
            body._attempt.Call.Sizes?.Received.Add(buffer[..read]);
            if (read == 0 && !buffer.IsEmpty)
            {
                body.Completed();
            }

            return read;
        }
    }
}
