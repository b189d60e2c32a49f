using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;

namespace Mesh.Transparent.Admin;

/// <summary>Which log entries are written, as <c>warning,Mesh.Xds=debug</c>: a level for all, and levels for categories and what lies below them. Immutable.</summary>
internal sealed class LogFilters
{
    private const int MostRules = 64;

    private LogFilters(LogLevel level, IReadOnlyList<KeyValuePair<string, LogLevel>> rules) => (Level, Rules) = (level, rules);

    /// <summary><c>warning,Mesh=information</c>.</summary>
    public static LogFilters Default { get; } = new(LogLevel.Warning, [new("Mesh", LogLevel.Information)]);

    /// <summary>Of all that no rule names.</summary>
    public LogLevel Level { get; }

    /// <summary>By prefix of the category; the longest that fits counts.</summary>
    public IReadOnlyList<KeyValuePair<string, LogLevel>> Rules { get; }

    /// <param name="problem">What is wrong and how to write it.</param>
    public static bool TryParse(string text, [NotNullWhen(true)] out LogFilters? filters, out string problem)
    {
        (filters, problem) = (null, string.Empty);
        LogLevel? level = null;
        var rules = new Dictionary<string, LogLevel>(StringComparer.OrdinalIgnoreCase);
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            var (category, word) = equals < 0 ? (null, part) : (part[..equals].TrimEnd(), part[(equals + 1)..].TrimStart());
            if (LevelOf(word) is not { } parsed)
            {
                problem = $"'{Shown(part)}' names no level. Use trace, debug, information, warning, error, critical or off.";
            }
            else if (category is null)
            {
                problem = level is null ? problem : $"'{Shown(part)}' is a second level for everything. Keep one; write others as Category=level.";
                level ??= parsed;
            }
            else if (!IsCategory(category))
            {
                problem = $"'{Shown(part)}' names no category. Use names such as Mesh.Xds: letters, digits, '.', '_', at most 200 characters.";
            }
            else if (!rules.TryAdd(category, parsed))
            {
                problem = $"'{Shown(part)}' is a second level for its category. Keep one.";
            }

            if (problem.Length > 0)
            {
                return false;
            }
        }

        if (level is null && rules.Count == 0)
        {
            problem = "No level is given. Use one such as warning, or warning,Mesh.Xds=debug.";
            return false;
        }

        if (rules.Count > MostRules)
        {
            problem = $"{rules.Count} categories are named. Use at most {MostRules}.";
            return false;
        }

        filters = new LogFilters(level ?? LogLevel.Warning, [.. rules]);
        return true;
    }

    public override string ToString() => string.Join(',', [Word(Level), .. Rules.Select(r => $"{r.Key}={Word(r.Value)}")]);

    /// <summary>The word of a level, as it is parsed.</summary>
    public static string Word(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "information",
        LogLevel.Warning => "warning",
        LogLevel.Error => "error",
        LogLevel.Critical => "critical",
        _ => "off",
    };

    // By hand: Enum.TryParse takes numbers and lists.
    private static LogLevel? LevelOf(string word) => word.ToUpperInvariant() switch
    {
        "TRACE" => LogLevel.Trace,
        "DEBUG" => LogLevel.Debug,
        "INFO" or "INFORMATION" => LogLevel.Information,
        "WARN" or "WARNING" => LogLevel.Warning,
        "ERROR" => LogLevel.Error,
        "CRITICAL" => LogLevel.Critical,
        "OFF" or "NONE" => LogLevel.None,
        _ => null,
    };

    private static bool IsCategory(string text) => text.Length is > 0 and <= 200 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '+' or '`');

    // It goes back to whoever sent it, and into logs.
    private static string Shown(string part) => string.Concat(part.Take(60).Select(c => char.IsControl(c) ? '?' : c));
}
