using Mesh.Telemetry;

namespace Mesh.Outbound.Steps;

/// <summary>Sends copies of calls where a route says so, and forgets them: no call waits for its copy or learns how it ended. Thread-safe.</summary>
/// <remarks>A copy is one attempt: no retry, and its metrics are those of its own cluster's endpoints.</remarks>
internal sealed class MirrorStep(TimeProvider time, Random random) : IDisposable, IAsyncDisposable
{
    /// <summary>Copies on their way at once.</summary>
    public const int MaxInFlight = 64;

    /// <summary>Longer bodies are not copied.</summary>
    public const int MaxBodyBytes = 64 * 1024;

    private const int Million = 1_000_000;

    /// <summary>Longest life of a copy, its response included.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();

    // Guarded by _lock.
    private readonly Dictionary<MirrorCopy, Task> _inFlight = [];
    private bool _stopped;

    /// <summary>Draws, and sends what can be sent now: the call has its final request, and no attempt began. Other bodies are kept while they are sent.</summary>
    public void Begin(OutboundCall call, OutboundMirror[] mirrors)
    {
        ReadOnlyMemory<byte>? body = null;
        foreach (var mirror in mirrors)
        {
            if (mirror.PerMillion < Million && random.Next(Million) >= mirror.PerMillion)
            {
                continue;
            }

            var copy = MirrorCopy.Of(call, mirror);
            if (call.Request.Content is not { } content)
            {
                Send(call, copy);
            }
            else if (!IsBytes(content))
            {
                (call.Copies ??= []).Add(copy);
            }
            else if ((body ??= ReadBody(content)) is { } bytes)
            {
                copy.SetBody(bytes);
                Send(call, copy);
            }
            else
            {
                NotSent(call, copy, "body");
            }
        }

        if (call.Copies is not null)
        {
            call.MakeBodyReplayable();
        }
    }

    /// <summary>The call has its answer: sends the copies that waited for its body.</summary>
    public void Finish(OutboundCall call, List<MirrorCopy> copies)
    {
        var body = call.KeptBody;
        foreach (var copy in copies)
        {
            if (body is { } bytes)
            {
                copy.SetBody(bytes);
                Send(call, copy);
            }
            else
            {
                NotSent(call, copy, "body");
            }
        }
    }

    /// <summary>Ends what is on its way without waiting for it.</summary>
    public void Dispose()
    {
        Stop();
        _stopping.Cancel();
    }

    public async ValueTask DisposeAsync()
    {
        var left = Stop();
        await _stopping.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(left).ConfigureAwait(false);
        _stopping.Dispose();
    }

    private Task[] Stop()
    {
        lock (_lock)
        {
            _stopped = true;
            return [.. _inFlight.Values];
        }
    }

    private void Send(OutboundCall call, MirrorCopy copy)
    {
        bool sent;
        lock (_lock)
        {
            sent = !_stopped && _inFlight.Count < MaxInFlight;
            if (sent)
            {
                // It ends by taking this lock, so it is in the list before. Nothing of the caller's context goes along: not its deadline, not its span.
                _inFlight[copy] = Detached(call.Pipeline, copy);
            }
        }

        if (sent)
        {
            call.Pipeline.Telemetry.Decide(call, Decisions.Mirror, "sent");
        }
        else
        {
            NotSent(call, copy, "busy");
        }
    }

    private static void NotSent(OutboundCall call, MirrorCopy copy, string reason)
    {
        copy.Dispose();
        call.Pipeline.Telemetry.Decide(call, Decisions.Mirror, reason);
    }

    private Task Detached(OutboundPipeline pipeline, MirrorCopy copy)
    {
        AsyncFlowControl? flow = ExecutionContext.IsFlowSuppressed() ? null : ExecutionContext.SuppressFlow();
        try
        {
            return Task.Run(() => SendAsync(pipeline, copy));
        }
        finally
        {
            flow?.Undo();
        }
    }

    private async Task SendAsync(OutboundPipeline pipeline, MirrorCopy copy)
    {
        try
        {
            using var timed = new CancellationTokenSource(Timeout, time);
            using var ends = CancellationTokenSource.CreateLinkedTokenSource(timed.Token, _stopping.Token);
            var attempt = new OutboundCall(pipeline, copy.Request, copy.Mirror.Listener, time.GetTimestamp(), limits: null, ends.Token)
            {
                Activity = copy.Span,
                Cluster = copy.Mirror.Cluster,
                Hash = (ulong)random.NextInt64(long.MinValue, long.MaxValue),
            };
            var outcome = await pipeline.AttemptAsync(attempt, resilience: null, ends.Token).ConfigureAwait(false);
            if (outcome.Result is { } response)
            {
                using (response)
                {
                    await response.Content.CopyToAsync(Stream.Null, ends.Token).ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            // The attempt's metrics have it; nobody else cares how a copy ends.
        }
        finally
        {
            copy.Dispose();
            lock (_lock)
            {
                _inFlight.Remove(copy);
            }
        }
    }

    /// <summary>Reading it runs nobody's code and takes nothing away: what JSON is made of may throw, or be there once.</summary>
    private static bool IsBytes(HttpContent content) => content is not System.Net.Http.Json.JsonContent && ReplayContent.RepeatsByItself(content);

    /// <summary>The bytes of a body that repeats itself; null when they are too many or can't be had.</summary>
    private static ReadOnlyMemory<byte>? ReadBody(HttpContent content)
    {
        using var bytes = new ShortStream();
        try
        {
            content.CopyTo(bytes, context: null, CancellationToken.None);
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            return null;
        }

        return bytes.GetBuffer().AsMemory(0, (int)bytes.Length);
    }

    /// <summary>Takes <see cref="MaxBodyBytes"/> and no more.</summary>
    private sealed class ShortStream : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count)
        {
            Check(count);
            base.Write(buffer, offset, count);
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            Check(buffer.Length);
            base.Write(buffer);
        }

        public override void WriteByte(byte value)
        {
            Check(1);
            base.WriteByte(value);
        }

        private void Check(int count)
        {
            if (Length + count > MaxBodyBytes)
            {
                throw new IOException($"A body of more than {MaxBodyBytes} bytes is not copied.");
            }
        }
    }
}
