namespace Mesh.ControlPlane.Telemetry;

/// <summary>Messages of workloads that are sent together: protobuf adds up repeated fields of messages that follow each other.</summary>
/// <param name="Since">When the oldest of them came, a timestamp.</param>
internal sealed record OtlpBatch(OtlpSignal Signal, IReadOnlyList<byte[]> Messages, long Since)
{
    public int Bytes => Messages.Sum(m => m.Length);

    public byte[] Joined()
    {
        if (Messages is [var only])
        {
            return only;
        }

        var joined = new byte[Bytes];
        var at = 0;
        foreach (var message in Messages)
        {
            message.CopyTo(joined, at);
            at += message.Length;
        }

        return joined;
    }

    /// <summary>In two, so that what is wrong with one message costs no other. Only of more than one.</summary>
    public (OtlpBatch First, OtlpBatch Second) Halves()
    {
        var half = Messages.Count / 2;
        return (this with { Messages = [.. Messages.Take(half)] }, this with { Messages = [.. Messages.Skip(half)] });
    }
}

/// <summary>What waits to be given on, bounded in bytes: of too much the oldest goes. Thread-safe.</summary>
internal sealed class OtlpQueue(int maxWaitingBytes, int maxBatchBytes)
{
    private readonly Lock _lock = new();

    // Guarded by _lock.
    private readonly LinkedList<OtlpBatch> _waiting = new();
    private int _bytes;

    public int Bytes => Volatile.Read(ref _bytes);

    /// <returns>What went instead.</returns>
    public IReadOnlyList<OtlpBatch> Add(OtlpSignal signal, byte[] message, long now)
    {
        List<OtlpBatch>? gone = null;
        lock (_lock)
        {
            _waiting.AddLast(new OtlpBatch(signal, [message], now));
            _bytes += message.Length;
            while (_bytes > maxWaitingBytes)
            {
                (gone ??= []).Add(TakeFirstLocked());
            }
        }

        return gone ?? (IReadOnlyList<OtlpBatch>)[];
    }

    /// <summary>The oldest, with all of its kind that directly follow and fit; null when nothing waits.</summary>
    public OtlpBatch? Next()
    {
        lock (_lock)
        {
            if (_waiting.Count == 0)
            {
                return null;
            }

            var first = TakeFirstLocked();
            var (messages, bytes) = (first.Messages.ToList(), first.Bytes);
            while (_waiting.First?.Value is { } next && next.Signal == first.Signal && bytes + next.Bytes <= maxBatchBytes)
            {
                bytes += next.Bytes;
                messages.AddRange(TakeFirstLocked().Messages);
            }

            return first with { Messages = messages };
        }
    }

    /// <summary>It was not sent after all, and is the oldest.</summary>
    public void PutBack(OtlpBatch batch)
    {
        lock (_lock)
        {
            _waiting.AddFirst(batch);
            _bytes += batch.Bytes;
        }
    }

    private OtlpBatch TakeFirstLocked()
    {
        var first = _waiting.First!.Value;
        _waiting.RemoveFirst();
        _bytes -= first.Bytes;
        return first;
    }
}
