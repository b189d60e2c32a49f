using System.Runtime.InteropServices;
using Mesh.Transparent.Interception;

namespace Mesh.Transparent.Commands;

/// <summary>Replaces this process by another program: same process id, same environment, same open standard streams.</summary>
internal static unsafe partial class ProcessImage
{
    private const int NoEntry = 2;
    private const int SigPipe = 13;

    /// <summary>Does not return when it works.</summary>
    public static InterceptionException Replace(IReadOnlyList<string> command)
    {
        // The runtime ignores SIGPIPE, and what is ignored stays so across exec: a shell's pipelines would never end.
        _ = SetHandler(SigPipe, 0);
        var arguments = new nint[command.Count + 1];
        try
        {
            for (var i = 0; i < command.Count; i++)
            {
                arguments[i] = Marshal.StringToCoTaskMemUTF8(command[i]);
            }

            fixed (nint* start = arguments)
            {
                _ = Execute(start[0], start);
            }

            return Failed(command[0], Marshal.GetLastPInvokeError());
        }
        finally
        {
            foreach (var argument in arguments)
            {
                Marshal.FreeCoTaskMem(argument);
            }
        }
    }

    /// <param name="error">An errno of exec.</param>
    public static InterceptionException Failed(string program, int error) => new(
        error == NoEntry ? ExitCodes.NotFound : ExitCodes.NotExecutable,
        $"'{program}' can't be run: {Marshal.GetPInvokeErrorMessage(error)}. Give the path of a program in this image; a shell's own commands need sh -c.");

    // execvp and not execve: it looks along PATH, and passes on the environment as the kernel gave it to us.
    [LibraryImport("libc", EntryPoint = "execvp", SetLastError = true)]
    private static partial int Execute(nint file, nint* arguments);

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint SetHandler(int signal, nint handler);
}
