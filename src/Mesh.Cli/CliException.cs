namespace Mesh.Cli;

/// <summary>A command's failure as the user reads it: one line what, one why, one what to try.</summary>
internal sealed class CliException(int exitCode, string what, string why, string fix, Exception? inner = null) : Exception(what, inner)
{
    public int ExitCode => exitCode;

    public string Why => why;

    public string Fix => fix;
}
