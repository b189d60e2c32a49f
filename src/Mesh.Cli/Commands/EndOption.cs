using System.CommandLine;
using System.CommandLine.Parsing;

namespace Mesh.Cli.Commands;

/// <summary><c>--from</c> or <c>--to</c>, each of which takes the name of who calls or is called, and beside it the end of a time (<see cref="AskedSpan.Moment"/>).</summary>
internal sealed class EndOption
{
    public EndOption(string name, string description)
    {
        Option = new(name) { Description = description, Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = false };
        Option.Validators.Add(result =>
        {
            var given = result.GetValueOrDefault<string[]>() ?? [];
            if (given.Count(g => AskedSpan.Moment(g) is null) > 1 || given.Count(g => AskedSpan.Moment(g) is not null) > 1)
            {
                result.AddError($"{name} is given twice. It takes one name, and one time beside it.");
            }
            else if (given.FirstOrDefault(g => AskedSpan.Moment(g) is null && (g.Contains(':', StringComparison.Ordinal) || g.StartsWith('-'))) is { } wrong)
            {
                result.AddError($"{name} is '{wrong}', which is neither a name nor a time such as 2026-01-31T14:05:00Z or -1h.");
            }
        });
    }

    public Option<string[]> Option { get; }

    public string? Name(ParseResult result) => NameIn(result.GetValue(Option));

    /// <summary><see cref="Name(ParseResult)"/>, while it is checked.</summary>
    public string? Name(SymbolResult result) => NameIn(result.GetValue(Option));

    /// <returns>As the API takes it.</returns>
    public string? Moment(ParseResult result) => MomentIn(result.GetValue(Option));

    /// <summary><see cref="Moment(ParseResult)"/>, while it is checked.</summary>
    public string? Moment(SymbolResult result) => MomentIn(result.GetValue(Option));

    /// <summary>Refuses ends beside <c>--window</c>, and an end in the past of what is watched.</summary>
    public static void Check(Command command, EndOption from, EndOption to, Option<TimeSpan> window, Option<bool> watch) => command.Validators.Add(result =>
    {
        if ((from.Moment(result) ?? to.Moment(result)) is not null && result.GetResult(window) is { Implicit: false })
        {
            result.AddError("--window excludes a time in --from and --to: give the last so long, or the two ends.");
        }
        else if (to.Moment(result) is not null && result.GetValue(watch))
        {
            result.AddError("--watch looks at now: leave out the time in --to.");
        }
    });

    private static string? NameIn(string[]? given) => GoldenResource.NameOf(given?.FirstOrDefault(g => AskedSpan.Moment(g) is null));

    private static string? MomentIn(string[]? given) => given?.Select(AskedSpan.Moment).FirstOrDefault(m => m is not null);
}
