using System.Text;

namespace Mesh.Export;

/// <summary>OpenTelemetry's translation of names to Prometheus'.</summary>
internal static class PrometheusNames
{
    /// <summary>The metric's name as Prometheus has it.</summary>
    /// <param name="unit">UCUM: <c>s</c>, <c>By</c>; <c>1</c> and annotations such as <c>{request}</c> give no suffix.</param>
    public static string Of(string name, string unit, bool isCounter)
    {
        var translated = Clean(name, mayHoldColon: true);
        var suffix = Suffix(unit);
        if (isCounter && translated.EndsWith("_total", StringComparison.Ordinal))
        {
            translated = translated[..^"_total".Length];
        }

        if (suffix.Length > 0 && !translated.EndsWith('_' + suffix, StringComparison.Ordinal))
        {
            translated += '_' + suffix;
        }

        return isCounter ? translated + "_total" : translated;
    }

    /// <summary>What a unit adds to a name; empty when it adds nothing.</summary>
    public static string Suffix(string unit) => unit switch
    {
        "s" => "seconds",
        "ms" => "milliseconds",
        "By" => "bytes",
        "" or "1" => string.Empty,
        _ => unit[0] == '{' ? string.Empty : Clean(unit, mayHoldColon: false),
    };

    /// <summary>A name with nothing in it that Prometheus does not take.</summary>
    public static string Clean(string name, bool mayHoldColon)
    {
        var clean = new StringBuilder(name.Length + 1);
        foreach (var c in name)
        {
            var next = char.IsAsciiLetterOrDigit(c) || (c == ':' && mayHoldColon) ? c : '_';
            if (clean.Length == 0 && char.IsAsciiDigit(next))
            {
                clean.Append('_');
            }

            if (next != '_' || clean.Length == 0 || clean[^1] != '_')
            {
                clean.Append(next);
            }
        }

        return clean.Length == 0 ? "_" : clean.ToString();
    }
}
