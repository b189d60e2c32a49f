using System.CommandLine;
using Mesh.ControlPlane.Install;

namespace Mesh.Cli.Commands;

/// <summary>What is installed: values from files, then from flags, the later over the earlier.</summary>
internal sealed class InstallOptions
{
    private readonly Option<string[]> _files = new("--values", "-f") { Description = "File of values, YAML; may be repeated, later ones go before", AllowMultipleArgumentsPerToken = false };
    private readonly Option<string[]> _set = new("--set") { Description = "KEY=VALUE, over the files; may be repeated. Lists with commas, maps as KEY.NAME=VALUE" };
    private readonly Option<bool> _ha = new("--ha") { Description = "Highly available: three replicas on three nodes, webhooks that fail closed (same as --set ha=true)" };
    private readonly Option<string?> _registry = new("--registry") { Description = "Stands before the names of the images (same as --set registry=…)" };
    private readonly Option<string?> _version = new("--version") { Description = $"Version of the images (default: this command's, {InstallCatalogue.OwnVersion})" };

    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _ha, _files, _set, _registry, _version })
        {
            command.Options.Add(option);
        }
    }

    /// <param name="stored">What was given before; null: nothing.</param>
    public InstallValues Read(ParseResult result, string? stored = null)
    {
        var values = new InstallValues();
        if (stored is not null && values.Read(stored) is { Count: > 0 } old)
        {
            throw new CliException(ExitCodes.Failure, $"the values of {InstallManifest.ConfigMap} in the cluster can't be used", string.Join(" ", old),
                "give all values with --reset-values and -f, or correct the ConfigMap");
        }

        foreach (var file in result.GetValue(_files) ?? [])
        {
            if (!File.Exists(file))
            {
                throw new CliException(ExitCodes.BadInput, $"the file '{file}' does not exist", "-f names a file of values", "correct the path");
            }

            if (values.Read(File.ReadAllText(file)) is { Count: > 0 } problems)
            {
                throw new CliException(ExitCodes.BadInput, $"the values of '{file}' can't be used", string.Join($"{Environment.NewLine}       ", problems), "correct the file; 'mesh install --list-values' shows all values");
            }
        }

        foreach (var assignment in Assignments(result))
        {
            if (values.Set(assignment) is { } problem)
            {
                throw new CliException(ExitCodes.Usage, $"--set {assignment} can't be used", problem, "'mesh install --list-values' shows all values");
            }
        }

        return values;
    }

    /// <summary>The flags as a person would type them again.</summary>
    public string Typed(ParseResult result)
    {
        string[] flags =
        [
            .. result.GetValue(_ha) ? ["--ha"] : Array.Empty<string>(),
            .. (result.GetValue(_files) ?? []).Select(f => $"-f {Path.GetFileName(f)}"),
            .. result.GetValue(_registry) is { } registry ? [$"--registry {registry}"] : Array.Empty<string>(),
            .. result.GetValue(_version) is { } version ? [$"--version {version}"] : Array.Empty<string>(),
            .. (result.GetValue(_set) ?? []).Select(s => $"--set {s}"),
        ];
        return string.Join(' ', flags);
    }

    public bool NamesVersion(ParseResult result) => result.GetValue(_version) is not null;

    private IEnumerable<string> Assignments(ParseResult result) =>
    [
        .. result.GetValue(_ha) ? ["ha=true"] : Array.Empty<string>(),
        .. result.GetValue(_registry) is { } registry ? [$"registry={registry}"] : Array.Empty<string>(),
        .. result.GetValue(_version) is { } version ? [$"version={version}"] : Array.Empty<string>(),
        .. result.GetValue(_set) ?? [],
    ];
}
