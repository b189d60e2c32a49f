namespace Mesh.Export;

/// <summary>The two texts that Prometheus reads.</summary>
internal enum TextFormat
{
    /// <summary>Prometheus' own, version 0.0.4.</summary>
    Prometheus,

    /// <summary>OpenMetrics 1.0.0: with the start of each series, and examples that lead to traces.</summary>
    OpenMetrics,
}

/// <summary>Which of them somebody wants.</summary>
internal static class TextFormats
{
    private const string OpenMetricsType = "application/openmetrics-text";

    public static string ContentType(this TextFormat format) =>
        format == TextFormat.OpenMetrics ? OpenMetricsType + "; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>Who does not ask for OpenMetrics, or likes the other one better, gets Prometheus' text.</summary>
    /// <param name="accept">The header, all of its values joined by commas; null when there is none.</param>
    public static TextFormat Negotiate(string? accept)
    {
        var (open, plain) = (0.0, 0.0);
        foreach (var range in (accept ?? string.Empty).Split(','))
        {
            var parts = range.Split(';');
            var weight = 1.0;
            foreach (var parameter in parts.Skip(1).Select(p => p.Trim()))
            {
                if (parameter.StartsWith("q=", StringComparison.OrdinalIgnoreCase)
                    && double.TryParse(parameter.AsSpan(2), System.Globalization.NumberStyles.AllowDecimalPoint, System.Globalization.CultureInfo.InvariantCulture, out var q))
                {
                    weight = q;
                }
            }

            switch (parts[0].Trim())
            {
                case var type when type.Equals(OpenMetricsType, StringComparison.OrdinalIgnoreCase):
                    open = Math.Max(open, weight);
                    break;
                case var type when type.Equals("text/plain", StringComparison.OrdinalIgnoreCase):
                    plain = Math.Max(plain, weight);
                    break;
            }
        }

        return open > 0 && open >= plain ? TextFormat.OpenMetrics : TextFormat.Prometheus;
    }
}
