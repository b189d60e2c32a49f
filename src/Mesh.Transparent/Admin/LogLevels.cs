using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Mesh.Transparent.Admin;

/// <summary>The log filters in force: what <see cref="LoggerFactory"/> goes by, changed while it runs. Thread-safe.</summary>
internal sealed class LogLevels(LogFilters start) : IConfigureOptions<LoggerFilterOptions>, IOptionsChangeTokenSource<LoggerFilterOptions>, IDisposable
{
    private readonly Lock _lock = new();

    // Guarded by _lock.
    private CancellationTokenSource _changed = new();
    private LogFilters _current = start;

    public LogFilters Current
    {
        get
        {
            lock (_lock)
            {
                return _current;
            }
        }
    }

    /// <summary>The default options.</summary>
    string? IOptionsChangeTokenSource<LoggerFilterOptions>.Name => Options.DefaultName;

    public void Set(LogFilters filters)
    {
        CancellationTokenSource changed;
        lock (_lock)
        {
            _current = filters;
            (changed, _changed) = (_changed, new CancellationTokenSource());
        }

        // Outside of the lock: whoever is told reads Current.
        changed.Cancel();
        changed.Dispose();
    }

    public void Configure(LoggerFilterOptions options)
    {
        var filters = Current;
        options.MinLevel = filters.Level;
        options.Rules.Clear();
        foreach (var (category, level) in filters.Rules)
        {
            options.Rules.Add(new LoggerFilterRule(null, category, level, null));
        }
    }

    /// <inheritdoc/>
    public IChangeToken GetChangeToken()
    {
        lock (_lock)
        {
            return new CancellationChangeToken(_changed.Token);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _changed.Dispose();
        }
    }
}
