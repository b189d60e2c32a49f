namespace Mesh.Transparent;

/// <summary>What the exit status of mesh-proxy says, as in sysexits.h where it has a word for it.</summary>
internal static class ExitCodes
{
    public const int Ok = 0;
    public const int Failure = 1;
    public const int Usage = 64;
    public const int NotPermitted = 77;

    /// <summary>Connections are not redirected: what repairs pods whose rules are missing looks for this one.</summary>
    public const int NotRedirected = 95;

    public const int TimedOut = 124;

    /// <summary>As in a shell: there is no such program, or it can't be run.</summary>
    public const int NotFound = 127;
    public const int NotExecutable = 126;
}
