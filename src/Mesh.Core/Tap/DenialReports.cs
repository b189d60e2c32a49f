namespace Mesh.Tap;

/// <summary>A refused request, as an example of its kind.</summary>
/// <param name="Caller">An identity, or an address.</param>
/// <param name="Audit">Not refused: the rule is only tried.</param>
/// <param name="Rule">Empty: no rule allowed it.</param>
/// <param name="Nearest">The rule that came nearest, and what was missing; empty where a rule refused it.</param>
internal sealed record DenialReport(DateTimeOffset At, string Caller, string Method, string Path, bool Audit, string Rule, string Nearest, long Count);

/// <summary>Which requests this server refused: per caller and rule a count and one example, until the control plane has it. Thread-safe; only refusals come here.</summary>
internal sealed class DenialReports(TimeProvider time)
{
    /// <summary>Kinds that are told apart between two reports; what is more is counted under <see cref="Others"/>.</summary>
    public const int MostKinds = 256;

    /// <summary>Stands for callers that were too many to tell apart.</summary>
    public const string Others = "others";

    private readonly Lock _lock = new();
    private Dictionary<(string Caller, string Rule, bool Audit), Kind> _kinds = [];

    /// <summary>Set while somebody takes them; null: nothing is kept.</summary>
    public Action? Listener { get; set; }

    public bool HasAny
    {
        get
        {
            lock (_lock)
            {
                return _kinds.Count > 0;
            }
        }
    }

    /// <summary>Counts one refusal. True when it is the first of its kind since the last report: then an example is wanted (<see cref="Show"/>).</summary>
    public bool Count(string caller, string rule, bool audit)
    {
        if (Listener is not { } listener)
        {
            return false;
        }

        bool isFirst;
        lock (_lock)
        {
            var key = (caller, rule, audit);
            if (!_kinds.TryGetValue(key, out var kind))
            {
                if (_kinds.Count >= MostKinds)
                {
                    key = (Others, string.Empty, audit);
                    kind = _kinds.GetValueOrDefault(key);
                }

                if (kind is null)
                {
                    _kinds[key] = kind = new Kind();
                }
            }

            isFirst = kind.Count++ == 0 && key.caller == caller;
        }

        listener();
        return isFirst;
    }

    /// <summary>Gives the example that <see cref="Count"/> asked for.</summary>
    public void Show(string caller, string rule, bool audit, string method, string path, string nearest)
    {
        lock (_lock)
        {
            if (_kinds.TryGetValue((caller, rule, audit), out var kind))
            {
                kind.Example = (time.GetUtcNow(), TapText.Of(method, 32), TapText.Of(path), TapText.Of(nearest, 512));
            }
        }
    }

    /// <summary>What came since the last time.</summary>
    public IReadOnlyList<DenialReport> Take()
    {
        Dictionary<(string Caller, string Rule, bool Audit), Kind> taken;
        lock (_lock)
        {
            if (_kinds.Count == 0)
            {
                return [];
            }

            (taken, _kinds) = (_kinds, []);
        }

        var now = time.GetUtcNow();
        return
        [
            .. taken.Select(k => new DenialReport(
                k.Value.Example?.At ?? now, TapText.Of(k.Key.Caller), k.Value.Example?.Method ?? string.Empty, k.Value.Example?.Path ?? string.Empty, k.Key.Audit,
                TapText.Of(k.Key.Rule), k.Value.Example?.Nearest ?? string.Empty, k.Value.Count)),
        ];
    }

    private sealed class Kind
    {
        public long Count { get; set; }

        public (DateTimeOffset At, string Method, string Path, string Nearest)? Example { get; set; }
    }
}
