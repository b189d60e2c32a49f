using System.Globalization;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tap;
using Mesh.Tap;

namespace Mesh.ControlPlane.Api;

/// <summary>Reads what a tap is about out of a query; what is wrong is said, all of it.</summary>
internal sealed class TapParameters
{
    private const int LongestText = 256;
    private const int MostHeaders = 16;
    private const double MostPerSecond = 5000;

    public static readonly string[] Names =
    [
        "namespace", "source", "source_namespace", "destination", "destination_namespace", "workload", "labels", "method", "path", "status", "min_ms", "max_rps", "headers", "for_s",
    ];

    private readonly IQueryCollection _query;
    private readonly List<string> _problems = [];

    private TapParameters(IQueryCollection query, double standardRate, bool opens)
    {
        _query = query;
        _problems.AddRange(query.Keys.Where(k => !Names.Contains(k, StringComparer.OrdinalIgnoreCase)).Select(k => $"'{TapText.Of(k, 64)}' is not asked for; known are {string.Join(", ", Names)}."));
        string[] headers = [.. (Text("headers") ?? string.Empty).Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Distinct(StringComparer.OrdinalIgnoreCase)];
        if (headers.Length > MostHeaders)
        {
            _problems.Add($"headers names {headers.Length} headers; at most {MostHeaders} are shown.");
        }

        Secret = [.. headers.Where(TapHeaders.IsSecret)];
        var status = Text("status") ?? string.Empty;
        if (!TapStatus.TryParse(status, out _))
        {
            _problems.Add($"status is '{TapText.Of(status, 64)}'. Give {TapStatus.Rule}.");
        }

        var path = Text("path") ?? string.Empty;
        if (path.Length > 0 && path[0] is not ('/' or '*'))
        {
            _problems.Add($"path is '{TapText.Of(path, 64)}'. Give a path such as /prices/7, or the beginning of one such as /prices/*.");
        }

        var (labels, wrong) = ((LabelSelector?)null, string.Empty);
        if (Text("labels") is { } selector && (labels = LabelSelector.Parse(selector, out wrong)) is null)
        {
            _problems.Add($"labels is '{TapText.Of(selector, 64)}'. {wrong}");
        }

        For = Number("for_s", 1, 86_400) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
        Question = new TapQuestion(Number("max_rps", 0.1, MostPerSecond) ?? standardRate)
        {
            Namespace = Text("namespace"),
            Source = Text("source"),
            SourceNamespace = Text("source_namespace"),
            Destination = Text("destination"),
            DestinationNamespace = Text("destination_namespace"),
            Workload = Text("workload"),
            Labels = labels,
            Method = Text("method")?.ToUpperInvariant() ?? string.Empty,
            Path = path == "*" ? string.Empty : path,
            Status = status,
            MinMs = Number("min_ms", 0, 86_399_999) ?? 0,
            Opens = opens,
#pragma warning disable CA1308 // header names are lower-case on the wire of HTTP/2
            Headers = [.. headers.Where(h => !TapHeaders.IsSecret(h)).Select(h => h.ToLowerInvariant())],
#pragma warning restore CA1308
        };
    }

    public TapQuestion Question { get; }

    /// <summary>Null: until who asked goes away.</summary>
    public TimeSpan? For { get; }

    /// <summary>Headers that were asked for and are never shown.</summary>
    public IReadOnlyList<string> Secret { get; }

    /// <param name="standardRate">Per second, where none is given.</param>
    /// <param name="opens"><see cref="TapQuestion.Opens"/>.</param>
    /// <param name="refusal">What is wrong; null when all is right.</param>
    public static TapParameters Read(IQueryCollection query, double standardRate, bool opens, out IResult? refusal)
    {
        var read = new TapParameters(query, standardRate, opens);
        refusal = read._problems.Count == 0 ? null : ApiEndpoints.Problem(400, "Bad tap", string.Join(' ', read._problems));
        return read;
    }

    private string? Text(string name)
    {
        if (!_query.TryGetValue(name, out var values) || values.ToString() is not { Length: > 0 } text)
        {
            return null;
        }

        if (values.Count > 1 || text.Length > LongestText || text.Any(char.IsControl))
        {
            _problems.Add($"{name} is to be given once, with at most {LongestText} characters, none of them control characters.");
            return null;
        }

        return text;
    }

    private double? Number(string name, double least, double most)
    {
        if (Text(name) is not { } text)
        {
            return null;
        }

        if (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most)
        {
            return number;
        }

        _problems.Add(string.Create(CultureInfo.InvariantCulture, $"{name} is '{TapText.Of(text, 64)}'. Give a number from {least} to {most}."));
        return null;
    }
}
