using System.Collections.Concurrent;
using System.Threading.Channels;

namespace Mesh.Tap;

/// <summary>Where calls and requests pass by those who look: while nobody does it costs them the reading of one field. Thread-safe.</summary>
internal sealed class TapPoint(TimeProvider time)
{
    /// <summary>Taps at once.</summary>
    public const int MostTaps = 16;

    /// <summary>Exchanges that wait to be carried away.</summary>
    public const int MostWaiting = 512;

    /// <summary>Exchanges that are looked at again when they go on; of more in one second not all are.</summary>
    public const int MostBegun = 16_384;

    private readonly Channel<(ActiveTap Tap, TapExchange Exchange)> _waiting =
        Channel.CreateBounded<(ActiveTap, TapExchange)>(new BoundedChannelOptions(MostWaiting) { FullMode = BoundedChannelFullMode.Wait });

    // In the order in which they began; taken out when they are over or have gone on for long.
    private readonly ConcurrentQueue<OpenExchange> _begun = new();
    private readonly Lock _lock = new();
    private long _streams;
    private volatile ActiveTap[]? _taps;

    /// <summary>Null while nobody looks.</summary>
    public ActiveTap[]? Taps => _taps;

    public TimeProvider Time => time;

    /// <summary>A tap began: somebody must carry away what it sees. Called under no lock.</summary>
    public Action? Begun { get; set; }

    /// <summary>Begins a tap, or goes on with one under other settings. False when there are too many.</summary>
    public bool Start(TapSettings settings)
    {
        lock (_lock)
        {
            var taps = _taps ?? [];
            if (Array.Find(taps, t => t.Settings.Id == settings.Id) is { } running)
            {
                running.Change(settings);
                return true;
            }

            if (taps.Length >= MostTaps)
            {
                return false;
            }

            _taps = [.. taps, new ActiveTap(settings, time.TimestampFrequency)];
        }

        Begun?.Invoke();
        return true;
    }

    public void Stop(string id)
    {
        lock (_lock)
        {
            var left = Array.FindAll(_taps ?? [], t => t.Settings.Id != id);
            _taps = left.Length == 0 ? null : left;
        }
    }

    /// <summary>Nobody is there any more.</summary>
    public void StopAll()
    {
        lock (_lock)
        {
            _taps = null;
        }

        _begun.Clear();
        while (_waiting.Reader.TryRead(out _))
        {
            // Nobody wants it.
        }
    }

    /// <summary>Hands an exchange to whoever carries it away. Never blocks. False: too many wait, and it is dropped.</summary>
    public bool Offer(ActiveTap tap, TapExchange exchange)
    {
        if (_waiting.Writer.TryWrite((tap, exchange)))
        {
            return true;
        }

        tap.Drop();
        return false;
    }

    /// <summary>Whether some tap may want to see an exchange while it goes on.</summary>
    /// <param name="facts">As far as they are known when it begins.</param>
    public bool Follows(ActiveTap[] taps, in TapFacts facts)
    {
        foreach (var tap in taps)
        {
            if (tap.Settings is { Opens: true } settings && settings.TakesRequest(facts))
            {
                return _begun.Count < MostBegun;
            }
        }

        return false;
    }

    /// <summary>Looks at it again when it goes on for long.</summary>
    public void Follow(OpenExchange exchange) => _begun.Enqueue(exchange);

    /// <summary>Shows those that have gone on for long. Called by one loop, again and again.</summary>
    public void ShowOpen()
    {
        var taps = _taps;
        while (_begun.TryPeek(out var first) && (taps is null || time.GetElapsedTime(first.Start) >= OpenExchange.Patience))
        {
            _begun.TryDequeue(out first);
            if (taps is not null)
            {
                first?.Show(this, taps, ++_streams);
            }
        }
    }

    public bool TryTake(out ActiveTap tap, out TapExchange exchange)
    {
        var any = _waiting.Reader.TryRead(out var next);
        (tap, exchange) = next;
        return any;
    }
}
