using Mesh.Config;
using Mesh.Resilience;
using Mesh.Traffic;

namespace Mesh.Inbound;

/// <summary>The limits of one request, in this order: its rate limits, then a place among the requests of its port or route, then one in the whole server. Thread-safe.</summary>
/// <remarks>
/// Rate limits come first: what a caller may not ask for must not wait in a queue before those who may. Among them those of a caller or header come before
/// shared ones, and what one has taken it gives back when a later one refuses: a caller over its own limit uses up nobody else's.
/// </remarks>
internal sealed class RequestLimits
{
    private readonly RateLimitRule[] _rules;
    private readonly ConcurrencyGate[] _gates;

    public RequestLimits(IEnumerable<RateLimitRule> rules, IEnumerable<ConcurrencyGate> gates)
    {
        _rules = [.. rules.OrderBy(r => r.Scope == RateLimitScope.Shared ? 1 : 0)];
        _gates = [.. gates];
    }

    public bool IsNone => _rules.Length == 0 && _gates.Length == 0;

    public bool NeedsHead => _rules.Any(r => r.NeedsHead);

    /// <summary>Null when every rate limit lets it through.</summary>
    /// <param name="head">Given where <see cref="NeedsHead"/>.</param>
    /// <param name="caller">The verified identity, else the address.</param>
    public Refusal? Charge(RequestHead? head, string caller, Random random) => Charge(0, head, caller, random);

    /// <summary>Waits for a place where it must. Only after <see cref="Admission.Entered"/> comes <see cref="Exit()"/>.</summary>
    /// <param name="deadline">Waiting ends with it; null is none.</param>
    /// <param name="caller">Cancelled when the caller has left.</param>
    public ValueTask<Admission> EnterAsync(Deadline? deadline, CancellationToken caller)
    {
        for (var i = 0; i < _gates.Length; i++)
        {
            if (!_gates[i].TryEnter())
            {
                return WaitAsync(i, deadline, caller);
            }
        }

        return new(Admission.Entered);
    }

    public void Exit() => Exit(_gates.Length);

    private void Exit(int entered)
    {
        while (--entered >= 0)
        {
            _gates[entered].Exit();
        }
    }

    private async ValueTask<Admission> WaitAsync(int entered, Deadline? deadline, CancellationToken caller)
    {
        using var bound = deadline?.Bind(caller);
        for (; entered < _gates.Length; entered++)
        {
            var admission = _gates[entered].TryEnter() ? Admission.Entered : await _gates[entered].EnterAsync(bound?.Token ?? caller).ConfigureAwait(false);
            if (admission != Admission.Entered)
            {
                Exit(entered);
                return admission;
            }
        }

        return Admission.Entered;
    }

    private Refusal? Charge(int from, RequestHead? head, string caller, Random random)
    {
        for (var i = from; i < _rules.Length; i++)
        {
            var rule = _rules[i];
            if (!rule.Counts(head, random))
            {
                continue;
            }

            if (rule.Limiter.TryTake(rule.Key(head, caller), out var retryAfter) is not { } bucket)
            {
                return Refusal.RateLimited(rule.Name, retryAfter);
            }

            var refusal = Charge(i + 1, head, caller, random);
            if (refusal is not null)
            {
                rule.Limiter.GiveBack(bucket);
            }

            return refusal;
        }

        return null;
    }
}
