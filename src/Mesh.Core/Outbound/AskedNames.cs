using Mesh.Config;
using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

/// <summary>The names that calls made us ask the control plane for: few enough to hold, and given up when no call uses them any more. Thread-safe.</summary>
/// <remarks>A call only marks its name as used; the time of it is taken by the sweep, so ages are true to <see cref="SweepEvery"/>.</remarks>
internal sealed partial class AskedNames : IDisposable
{
    /// <summary>So many names are asked for at a time. Our control plane ends a stream that asks for 10,000 resources, and a service is at least four of them.</summary>
    public const int Max = 1_000;

    /// <summary>Names that are services for certain go beyond <see cref="Max"/>, because what is known to be meshed is never sent in the clear; here they end too.</summary>
    public const int MaxServices = 2 * Max;

    public static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(30);
    public static readonly TimeSpan KeepServices = TimeSpan.FromMinutes(30);
    public static readonly TimeSpan KeepOthers = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan WarnEvery = TimeSpan.FromMinutes(1);

    private readonly IConfigSource _source;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private readonly Lock _lock = new();
    private readonly Dictionary<ListenerKey, AskedName> _names = [];

    // Given up, but services when last heard of; with when that was. As many as MaxServices.
    private readonly Dictionary<ListenerKey, long> _services = [];
    private int _asked;
    private long? _warned;
    private bool _disposed;

    public AskedNames(IConfigSource source, TimeProvider time, ILogger logger)
    {
        (_source, _time, _logger) = (source, time, logger);
        using (ExecutionContext.SuppressFlow())
        {
            _timer = time.CreateTimer(_ => Sweep(), null, SweepEvery, SweepEvery);
        }
    }

    /// <summary>How many names are asked for now.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _asked;
            }
        }
    }

    /// <summary>Asks for a name, once however many calls want it. The name stays at least until <see cref="Leave"/>.</summary>
    /// <param name="isService">The name can be nothing but a service.</param>
    public AskResult Enter(ListenerKey key, bool isService, out AskedName? name)
    {
        AskedName? evicted = null;
        var result = AskResult.Asked;
        var (isNew, warn) = (false, false);
        lock (_lock)
        {
            if (_names.TryGetValue(key, out name))
            {
                // One that is being given up is asked for again by whoever gives it up.
                name.Waiting++;
                name.LastUsed = _time.GetTimestamp();
                name.IsWantedAgain = name.IsLeaving;
                return AskResult.Asked;
            }

            isService |= _services.ContainsKey(key);
            if (_asked >= Max && (evicted = LongestUnusedLocked()) is null && (!isService || _asked >= MaxServices))
            {
                result = isService ? AskResult.Refused : AskResult.PassOn;
                warn = !isService && ShouldWarnLocked();
            }
            else
            {
                if (evicted is not null)
                {
                    GiveUpLocked(evicted);
                }

                name = new AskedName(key) { Waiting = 1, LastUsed = _time.GetTimestamp(), WasService = _services.Remove(key) };
                _names.Add(key, name);
                _asked++;
                isNew = true;
            }
        }

        if (evicted is not null)
        {
            Unwatch(evicted);
        }

        if (isNew)
        {
            _source.Watch(key.Name);
        }

        if (warn)
        {
            Log.TooManyNames(_logger, Max, key.Name);
        }

        return result;
    }

    /// <summary>A call that entered waits no more.</summary>
    public void Leave(AskedName name)
    {
        lock (_lock)
        {
            name.Waiting--;
            name.LastUsed = _time.GetTimestamp();
        }
    }

    /// <summary>Ties what was compiled for a name to the name, so that calls can mark it. Names that nobody asked for are left alone.</summary>
    public void Answered(ListenerKey key, OutboundListener listener)
    {
        lock (_lock)
        {
            if (!_names.TryGetValue(key, out var name))
            {
                return;
            }

            name.Listener = listener;
            listener.Name = name;
            name.WasService = !listener.PassesThrough && (name.WasService || listener.Unavailable is null);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
        }

        _timer.Dispose();
    }

    private void Sweep()
    {
        List<AskedName>? unused = null;
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            var now = _time.GetTimestamp();
            foreach (var name in _names.Values)
            {
                if (name.TakeUsed() || name.Waiting > 0 || name.HasCalls)
                {
                    name.LastUsed = now;
                }
                else if (!name.IsLeaving && _time.GetElapsedTime(name.LastUsed, now) >= (name.MayBeEvicted ? KeepOthers : KeepServices))
                {
                    GiveUpLocked(name);
                    (unused ??= []).Add(name);
                }
            }
        }

        foreach (var name in unused ?? [])
        {
            Unwatch(name);
        }
    }

    /// <summary>The name that no call would miss: "does not exist" before "no answer", the longest unused first; null when there is none.</summary>
    private AskedName? LongestUnusedLocked()
    {
        AskedName? best = null;
        var bestRank = (false, false, 0L);
        foreach (var name in _names.Values)
        {
            if (name.IsLeaving || name.Waiting > 0 || !name.MayBeEvicted)
            {
                continue;
            }

            var rank = (!name.DoesNotExist, name.IsUsed, name.LastUsed);
            if (best is null || rank.CompareTo(bestRank) < 0)
            {
                (best, bestRank) = (name, rank);
            }
        }

        return best;
    }

    private void GiveUpLocked(AskedName name)
    {
        name.IsLeaving = true;
        _asked--;
    }

    /// <summary>Never under the lock: a source may publish at once. A call that wants the name meanwhile finds it leaving, and then it is asked for anew here.</summary>
    private void Unwatch(AskedName name)
    {
        _source.Unwatch(name.Key.Name);
        lock (_lock)
        {
            if (!name.IsWantedAgain)
            {
                _names.Remove(name.Key);
                if (name.WasService)
                {
                    RememberLocked(name);
                }

                return;
            }
        }

        _source.Watch(name.Key.Name);
        lock (_lock)
        {
            (name.IsLeaving, name.IsWantedAgain) = (false, false);
            _asked++;
        }
    }

    private void RememberLocked(AskedName name)
    {
        _services[name.Key] = name.LastUsed;
        if (_services.Count > MaxServices)
        {
            _services.Remove(_services.MinBy(s => s.Value).Key);
        }
    }

    private bool ShouldWarnLocked()
    {
        var now = _time.GetTimestamp();
        if (_warned is { } last && _time.GetElapsedTime(last, now) < WarnEvery)
        {
            return false;
        }

        _warned = now;
        return true;
    }
}

/// <summary>What came of asking for a name.</summary>
internal enum AskResult
{
    /// <summary>An answer is on its way.</summary>
    Asked,

    /// <summary>Too many names are in use, and this one is not known to be a service: the call goes its own way.</summary>
    PassOn,

    /// <summary>Too many services are in use: this one cannot be called.</summary>
    Refused,
}
