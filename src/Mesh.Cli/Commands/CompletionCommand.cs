using System.CommandLine;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh completion</c>: a script for a shell. It asks the command itself what may follow, so it never grows old.</summary>
internal static class CompletionCommand
{
    private const string Bash = """
        # bash completion for mesh:  source <(mesh completion bash)
        _mesh() {
          local IFS=$'\n' line=${COMP_LINE:0:COMP_POINT}
          COMPREPLY=($(compgen -W "$(mesh "[suggest:${#line}]" "$line" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -o default -F _mesh mesh
        """;

    private const string Zsh = """
        #compdef mesh
        # zsh completion for mesh:  source <(mesh completion zsh)
        _mesh() {
          local -a words_found
          words_found=("${(@f)$(mesh "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)}")
          compadd -a words_found
        }
        compdef _mesh mesh
        """;

    private const string Fish = """
        # fish completion for mesh:  mesh completion fish | source
        function __mesh_complete
          set -l line (commandline -cp)
          mesh "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete -c mesh -a "(__mesh_complete)"
        """;

    private const string Pwsh = """
        # PowerShell completion for mesh:  mesh completion pwsh | Out-String | Invoke-Expression
        Register-ArgumentCompleter -Native -CommandName mesh -ScriptBlock {
          param($word, $ast, $position)
          mesh "[suggest:$position]" "$ast" 2>$null | Where-Object { $_ -like "$word*" } | ForEach-Object {
            [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
          }
        }
        """;

    public static Command Create(CliContext context) => new("completion", "Prints a script with which a shell completes what you type.")
    {
        Shell(context, "bash", Bash), Shell(context, "zsh", Zsh), Shell(context, "fish", Fish), Shell(context, "pwsh", Pwsh),
    };

    private static Command Shell(CliContext context, string name, string script)
    {
        var command = new Command(name, $"For {name}: its first line says how it is used.");
        command.SetAction(async (_, _) =>
        {
            await context.Out.WriteLineAsync(script);
            return ExitCodes.Ok;
        });
        return command;
    }
}
