namespace Mesh.Cli;

/// <summary>What the exit status says, as in sysexits.h where it has a word for it.</summary>
internal static class ExitCodes
{
    public const int Ok = 0;
    public const int Failure = 1;
    public const int CheckFailed = 2;
    public const int Usage = 64;
    public const int BadInput = 65;
    public const int Unreachable = 69;
    public const int NotPermitted = 77;
    public const int TimedOut = 124;
    public const int Interrupted = 130;
}
