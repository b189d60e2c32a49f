using System.CommandLine;

namespace Mesh.Cli.Commands;

/// <summary>What other commands take and this one can't: it is refused with the reason, and no help lists it.</summary>
internal static class RefusedOption
{
    /// <param name="refused">Names, of which the first is the option's, and why.</param>
    public static void AddTo(Command command, params (string[] Names, string Why)[] refused)
    {
        foreach (var (names, why) in refused)
        {
            var option = new Option<string[]>(names[0], names[1..]) { Hidden = true, Arity = ArgumentArity.ZeroOrMore };
            option.Validators.Add(result => result.AddError($"{names[0]} is not for 'mesh {command.Name}': {why}"));
            command.Options.Add(option);
        }
    }

    /// <summary>Names are taken, times are not.</summary>
    public static void Times(Option<string?> option) => option.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<string?>() is { } given && (given.StartsWith('-') || AskedSpan.Moment(given) is not null))
        {
            result.AddError($"{option.Name} is '{given}', and takes a name: requests are shown as they happen. Of a time past there are 'mesh stat', 'mesh edges' and 'mesh routes'.");
        }
    });
}
