namespace Mesh.Transparent.Interception;

/// <summary>The rules could not be written, or do not work: what, where, how to fix; and how the command ends.</summary>
internal sealed class InterceptionException(int exitCode, string message) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}
