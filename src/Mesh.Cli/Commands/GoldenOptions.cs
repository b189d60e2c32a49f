using System.CommandLine;
using System.CommandLine.Parsing;
using Mesh.ControlPlane.Model;

namespace Mesh.Cli.Commands;

/// <summary>What <c>stat</c>, <c>routes</c> and <c>edges</c> share: which calls, which time, which form.</summary>
internal sealed class GoldenOptions
{
    private readonly Option<string?> _namespace = CommonOptions.Namespace();
    private readonly Option<bool> _all = new("--all-namespaces", "-A") { Description = "All namespaces, which is what is shown without -n" };
    private readonly EndOption _from = new("--from", "Only calls of this workload ('unmeshed' is who has no identity); or since this moment, such as 2026-01-31T14:05:00Z or -1h. May be given for each");
    private readonly EndOption _to = new("--to", "Only calls to this service; or up to this moment. May be given for each");
    private readonly Option<string?> _labels = CommonOptions.Selector("Only services and workloads with these labels, such as app=cart,tier!=test");
    private readonly Option<TimeSpan> _window = CommonOptions.Time("--window", TimeSpan.FromSeconds(30), "How far back to look (default 30s)", "-t");
    private readonly Option<string> _output = CommonOptions.AnyOutput();
    private readonly Option<bool> _watch = new("--watch", "-w") { Description = "Again every second, until Ctrl-C: drawn anew on a terminal, else a line of JSON for each" };

    public void AddTo(Command command)
    {
        EndOption.Check(command, _from, _to, _window, _watch);
        foreach (var option in new Option[] { _namespace, _all, _from.Option, _to.Option, _labels, _window, _output, _watch })
        {
            command.Options.Add(option);
        }
    }

    public string? Namespace(ParseResult result) => result.GetValue(_all) ? null : result.GetValue(_namespace);

    public string? From(ParseResult result) => _from.Name(result);

    public string? To(ParseResult result) => _to.Name(result);

    /// <summary><see cref="From"/>, while it is checked.</summary>
    public string? FromOf(SymbolResult result) => _from.Name(result);

    /// <summary><see cref="To"/>, while it is checked.</summary>
    public string? ToOf(SymbolResult result) => _to.Name(result);

    public AskedSpan Span(ParseResult result) => new(Math.Max(1, (int)result.GetValue(_window).TotalSeconds), _from.Moment(result), _to.Moment(result));

    public LabelSelector? Labels(ParseResult result) => result.GetValue(_labels) is { } text ? LabelSelector.Parse(text, out _) : null;

    public string Form(ParseResult result) => result.GetValue(_output)!;

    public bool IsWatched(ParseResult result) => result.GetValue(_watch);

    /// <param name="query">Null values are left out.</param>
    public string Golden(ParseResult result, string by, params (string Key, string? Value)[] query)
    {
        (string Key, string? Value)[] all =
        [
            ("by", by), .. query, .. Span(result).Query, ("live", IsWatched(result) ? "true" : null),
        ];
        return "api/v1/golden?" + Text(all);
    }

    public static string Text(IEnumerable<(string Key, string? Value)> query) =>
        string.Join('&', query.Where(q => q.Value is not null).Select(q => $"{q.Key}={Uri.EscapeDataString(q.Value!)}"));
}
