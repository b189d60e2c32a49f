using System.Net;

namespace Mesh.Outbound;

/// <summary>A request body that is kept while it is sent, up to 64 KiB, so that another attempt can send it again; and that tells how far it is.</summary>
/// <remarks>
/// A body that was begun and not finished, or is longer, can't be sent with another attempt (Linkerd's limit), except one that repeats itself. Within an attempt the framework asks again
/// when a connection that went away never took the request (GOAWAY, REFUSED_STREAM: RFC 9113 §8.7); the caller's content then answers as it would without a mesh: it writes anew, or throws.
/// </remarks>
internal sealed class ReplayContent : HttpContent
{
    private const int MaxBytes = 64 * 1024;

    /// <summary>How long a write to a connection that is gone may take to end. It ends at once, unless the caller still feeds it: a stream, which can't be sent again.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromMilliseconds(500);

    /// <summary>How long an answer that wants another attempt waits for the end of a body that it overtook.</summary>
    private static readonly TimeSpan _overtaken = TimeSpan.FromMilliseconds(100);
    private readonly HttpContent _inner;
    private readonly bool _repeats;
    private readonly TimeProvider _time;
    private volatile State _state;
    private MemoryStream? _kept;
    private volatile bool _keeping;
    private TaskCompletionSource? _settled;
    private TaskCompletionSource? _written;

    /// <param name="keep">Another attempt may need it.</param>
    /// <param name="repeats">It writes the same bytes each time it is asked and need not be kept.</param>
    /// <param name="time">Null: the system's.</param>
    public ReplayContent(HttpContent inner, bool keep = true, bool repeats = false, TimeProvider? time = null)
    {
        (_inner, _keeping, _repeats, _time) = (inner, keep, repeats, time ?? TimeProvider.System);
        HttpHeaderCopy.Copy(inner.Headers, Headers);
    }

    private enum State
    {
        NotStarted,
        Writing,
        Kept,
        Spent,
        Broken,
    }

    /// <summary>The caller's own.</summary>
    public HttpContent Inner => _inner;

    /// <summary>All of it, once it was sent and is not too long; else null.</summary>
    public ReadOnlyMemory<byte>? Kept => _state == State.Kept ? _kept?.GetBuffer().AsMemory(0, (int)_kept.Length) ?? ReadOnlyMemory<byte>.Empty : default(ReadOnlyMemory<byte>?);

    /// <summary>All of it is kept: several attempts can send it at once, each with its own <see cref="Again"/>.</summary>
    public bool IsKept => _state == State.Kept;

    /// <summary>It is known whether it will be kept.</summary>
    public bool IsSettled => !_keeping || _state is not (State.NotStarted or State.Writing);

    public bool CanReplay => _repeats || _state is State.NotStarted or State.Kept;

    /// <summary>How often it was asked for. A connection asks when it has written the request's head.</summary>
    public int Asked { get; private set; }

    /// <summary>Of the attempt that sends it; null when nobody watches.</summary>
    public AttemptWatch? Watch { get; set; }

    /// <summary>Contents of the framework that write the same bytes each time they are asked. JSON does not: what it is made of may be there once.</summary>
    public static bool RepeatsByItself(HttpContent content) =>
        content is ReadOnlyMemoryContent || content.GetType() == typeof(ByteArrayContent)
        || content.GetType() == typeof(StringContent) || content.GetType() == typeof(FormUrlEncodedContent);

    /// <summary>The kept bytes as another content.</summary>
    public ReplayContent Again() => new(_inner) { _state = State.Kept, _kept = _kept };

    /// <summary>Ends when <see cref="IsSettled"/>.</summary>
    public Task SettleAsync()
    {
        var settled = Volatile.Read(ref _settled);
        if (settled is null)
        {
            var mine = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            settled = Interlocked.CompareExchange(ref _settled, mine, null) ?? mine;
        }

        if (IsSettled)
        {
            settled.TrySetResult();
        }

        return settled.Task;
    }

    /// <summary>Ends when <see cref="IsSettled"/>, or a moment later at most: a body whose last bytes went out just now still takes a turn to know it, and one that its caller still feeds is not waited for.</summary>
    public ValueTask SettleSoonAsync(CancellationToken cancellationToken) =>
        IsSettled ? default : new(WithinAsync(SettleAsync(), _overtaken, cancellationToken));

    /// <summary>No more attempts: what is still being sent need not be kept.</summary>
    public void StopKeeping()
    {
        _keeping = false;
        TellSettled();
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        Asked++;
        if (_state == State.Writing)
        {
            await WaitForWriteAsync(cancellationToken).ConfigureAwait(false);
        }

        switch (_state)
        {
            case var _ when _repeats:
                await CopyAsync(stream, context, cancellationToken).ConfigureAwait(false);
                break;
            case State.NotStarted or State.Spent or State.Broken:
                await WriteAsync(stream, context, cancellationToken).ConfigureAwait(false);
                break;
            case State.Kept:
                if (_kept is { } kept)
                {
                    await stream.WriteAsync(kept.GetBuffer().AsMemory(0, (int)kept.Length), cancellationToken).ConfigureAwait(false);
                }

                break;
            default:
                throw new IOException("The request body is still being sent on another connection and can't be sent again.");
        }

        Watch?.RequestEnded();
    }

    protected override bool TryComputeLength(out long length)
    {
        length = _inner.Headers.ContentLength ?? 0;
        return _inner.Headers.ContentLength is not null;
    }

    private async Task WriteAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var again = _state != State.NotStarted;
        (_state, _kept) = (State.Writing, null);
        var ended = State.Broken;
        try
        {
            await CopyAsync(stream, context, cancellationToken).ConfigureAwait(false);
            ended = _keeping ? State.Kept : State.Spent;
        }
        catch (InvalidOperationException e) when (again)
        {
            throw new IOException("The connection went away before it took the request, and the request body can be read only once.", e);
        }
        finally
        {
            _state = ended;
            TellSettled();
            Interlocked.Exchange(ref _written, null)?.TrySetResult();
        }
    }

    /// <summary>Until nobody writes it any more, but no longer than <see cref="_patience"/>.</summary>
    private async Task WaitForWriteAsync(CancellationToken cancellationToken)
    {
        var began = _time.GetTimestamp();
        while (_state == State.Writing && _patience - _time.GetElapsedTime(began) is { Ticks: > 0 } left)
        {
            var mine = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var written = Interlocked.CompareExchange(ref _written, mine, null) ?? mine;
            // The write may have ended before it could see who waits.
            if (_state == State.Writing)
            {
                await WithinAsync(written.Task, left, cancellationToken).ConfigureAwait(false);
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    private async Task WithinAsync(Task task, TimeSpan patience, CancellationToken cancellationToken) =>
        await task.WaitAsync(patience, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private void TellSettled()
    {
        // Against SettleAsync: what was written before this must be seen by whoever is not seen here.
        Interlocked.MemoryBarrier();
        Volatile.Read(ref _settled)?.TrySetResult();
    }

    private async Task CopyAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var copy = new CopyingStream(this, stream);
        await using (copy.ConfigureAwait(false))
        {
            await _inner.CopyToAsync(copy, context, cancellationToken).ConfigureAwait(false);
        }
    }

    private void Sent(ReadOnlySpan<byte> bytes)
    {
        Watch?.Touch();
        if (_repeats)
        {
            return;
        }

        if (!_keeping)
        {
            _kept = null;
        }
        else if ((_kept?.Length ?? 0) + bytes.Length > MaxBytes)
        {
            (_keeping, _kept) = (false, null);
            TellSettled();
        }
        else
        {
            (_kept ??= new MemoryStream()).Write(bytes);
        }
    }

    private sealed class CopyingStream(ReplayContent content, Stream inner) : ForwardStream
    {
        public override bool CanRead => false;

        public override bool CanWrite => true;

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            content.Sent(buffer);
            inner.Write(buffer);
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            content.Sent(buffer.Span);
            return inner.WriteAsync(buffer, cancellationToken);
        }

        public override void Flush() => inner.Flush();

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("A request body is written, not read.");
    }
}
