using Mesh.Config;
using Mesh.Policy;
using Mesh.Resilience;

namespace Mesh.Inbound;

/// <summary>What the limits of a policy count. A new policy takes over what the one before has counted, so that a push neither fills a limit up nor empties a server.</summary>
/// <remarks>Not thread-safe: used while a policy is compiled, then only read.</remarks>
/// <param name="before">Of the policies in force on the same port.</param>
internal sealed class LimitStates(IReadOnlyList<LimitStates> before, ServerLimits narrow, TimeProvider time)
{
    private readonly Dictionary<RateKey, LocalRateLimiter> _rates = [];
    private readonly Dictionary<string, ConcurrencyGate> _gates = new(StringComparer.Ordinal);

    /// <summary>Who is inside and who waits, for whoever watches.</summary>
    public IReadOnlyCollection<ConcurrencyGate> Gates => _gates.Values;

    public bool IsEmpty => _rates.Count == 0 && _gates.Count == 0;

    /// <summary>The same limit goes on counting; with other numbers it begins anew, because what was used of the old says nothing of the new.</summary>
    public LocalRateLimiter Rate(string place, RateLimit limit)
    {
        var key = new RateKey(place, limit.Name, limit.Requests, limit.Interval, limit.Burst, limit.Scope, limit.Header);
        if (!_rates.TryGetValue(key, out var rate))
        {
            rate = before.Select(b => b._rates.GetValueOrDefault(key)).FirstOrDefault(r => r is not null) ?? new LocalRateLimiter(limit.Requests, limit.Interval, limit.Burst, time);
            _rates.Add(key, rate);
        }

        return rate;
    }

    /// <summary>The same place goes on counting, also with other numbers. Two chains of a listener share it; the smaller numbers hold.</summary>
    public ConcurrencyGate Gate(string place, ServerConcurrency given)
    {
        var settings = narrow.Narrow(given);
        if (_gates.TryGetValue(place, out var gate))
        {
            var other = gate.Settings;
            gate.Settings = new ServerLimits(other.MaxRequests, other.MaxQueue, other.QueueTimeout).Narrow(settings);
            return gate;
        }

        gate = before.Select(b => b._gates.GetValueOrDefault(place)).FirstOrDefault(g => g is not null);
        if (gate is null)
        {
            gate = new ConcurrencyGate(settings, time);
        }
        else
        {
            gate.Settings = settings;
        }

        _gates.Add(place, gate);
        return gate;
    }

    private sealed record RateKey(string Place, string Name, int Requests, TimeSpan Interval, int Burst, RateLimitScope Scope, string? Header);
}
