using System.CommandLine;

namespace Mesh.Cli.Inject;

/// <summary>Which manifests a command reads: files, and <c>-</c> for standard input.</summary>
internal sealed class InputFiles
{
    private readonly Argument<string[]> _arguments = new("FILE") { Description = "Manifests, YAML or JSON; - is standard input", Arity = ArgumentArity.ZeroOrMore };
    private readonly Option<string[]> _files = new("--filename", "-f") { Description = "The same, as kubectl has it" };

    public void AddTo(Command command)
    {
        command.Add(_arguments);
        command.Add(_files);
    }

    /// <exception cref="CliException">None is given, or one can't be read.</exception>
    public async Task<IReadOnlyList<(string Name, string Text)>> ReadAsync(ParseResult result, CliContext context, CancellationToken cancellationToken)
    {
        string[] names = [.. result.GetValue(_arguments) ?? [], .. result.GetValue(_files) ?? []];
        if (names.Length == 0)
        {
            throw new CliException(ExitCodes.Usage, "no manifests are given", "there is neither a FILE nor -f FILE", $"mesh {result.CommandResult.Command.Name} -f app.yaml, or kubectl get deploy -o yaml | mesh {result.CommandResult.Command.Name} -");
        }

        var texts = new List<(string, string)>();
        foreach (var name in names)
        {
            try
            {
                texts.Add(name == "-" ? ("standard input", await context.In.ReadToEndAsync(cancellationToken)) : (name, await File.ReadAllTextAsync(name, cancellationToken)));
            }
            catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
            {
                throw new CliException(ExitCodes.BadInput, $"'{name}' is not there", e.Message, "give the path of a file, or - for standard input", e);
            }
        }

        return texts;
    }

    /// <summary>All texts as one stream of documents.</summary>
    public static string Join(IEnumerable<string> texts)
    {
        var all = string.Empty;
        foreach (var text in texts)
        {
            all += (all.Length == 0 || text.StartsWith("---", StringComparison.Ordinal) ? string.Empty : "---\n") + text + (text.Length == 0 || text.EndsWith('\n') ? string.Empty : "\n");
        }

        return all;
    }
}
