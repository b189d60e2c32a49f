using Mesh.Cli.Agent;

namespace Mesh.Cli;

/// <summary>What the commands see of the outside: streams, environment, clock.</summary>
/// <param name="Out">Data only.</param>
/// <param name="Error">Progress, hints and errors.</param>
/// <param name="Environment">Reads one environment variable.</param>
/// <param name="OpenIdentity">Joins the mesh as one workload, for <c>mesh identity agent</c>.</param>
internal sealed record CliContext(TextWriter Out, TextWriter Error, Func<string, string?> Environment, TimeProvider Time, OpenIdentity OpenIdentity)
{
    /// <summary>What commands read when they are given <c>-</c>.</summary>
    public TextReader In { get; init; } = Console.In;

    /// <summary>Somebody looks at <see cref="Out"/>: what changes may be drawn again.</summary>
    public bool IsTerminal { get; init; }

    /// <summary>False when the locale is not UTF-8: √ ‼ × become words.</summary>
    public bool HasUnicode => (Environment("LC_ALL") ?? Environment("LC_CTYPE") ?? Environment("LANG") ?? "")
        is var locale && (locale.Contains("UTF-8", StringComparison.OrdinalIgnoreCase) || locale.Contains("UTF8", StringComparison.OrdinalIgnoreCase));

    /// <summary>Opens a page; false where there is no desktop.</summary>
    public Func<Uri, bool> OpenBrowser { get; init; } = static _ => false;
}
