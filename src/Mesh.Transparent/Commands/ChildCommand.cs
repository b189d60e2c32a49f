using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Mesh.Transparent.Commands;

/// <summary>Runs a program as a child with our own standard streams, and passes on what signals we get.</summary>
internal static partial class ChildCommand
{
    private const int SigUsr1 = 10;
    private const int SigUsr2 = 12;

    private static readonly (PosixSignal Signal, int Number)[] Forwarded =
    [
        (PosixSignal.SIGHUP, 1),
        (PosixSignal.SIGINT, 2),
        (PosixSignal.SIGQUIT, 3),
        ((PosixSignal)SigUsr1, SigUsr1),
        ((PosixSignal)SigUsr2, SigUsr2),
        (PosixSignal.SIGTERM, 15),
    ];

    /// <returns>Its exit status, 128 + the signal's number when one ended it.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<string> command, CommandContext context)
    {
        using var process = new Process { StartInfo = new ProcessStartInfo(command[0], command.Skip(1)) };

        // Before it starts: a signal in between must not end us and leave it running.
        var starting = new Lock();
        var early = new List<int>();
        var started = false;
        var registrations = Forwarded.Select(each => PosixSignalRegistration.Create(each.Signal, received =>
        {
            received.Cancel = true;
            lock (starting)
            {
                if (!started)
                {
                    early.Add(each.Number);
                    return;
                }
            }

            Forward(process, each.Number);
        })).ToArray();
        try
        {
            process.Start();
            lock (starting)
            {
                started = true;
            }

            foreach (var number in early)
            {
                Forward(process, number);
            }

            await process.WaitForExitAsync().ConfigureAwait(false);
            return process.ExitCode;
        }
        catch (Win32Exception exception)
        {
            var problem = ProcessImage.Failed(command[0], exception.NativeErrorCode);
            return await context.FailAsync(problem.ExitCode, "await", problem.Message).ConfigureAwait(false);
        }
        finally
        {
            foreach (var registration in registrations)
            {
                registration.Dispose();
            }
        }
    }

    private static void Forward(Process process, int number)
    {
        // It may have ended in this moment: then there is nobody to tell.
        if (!process.HasExited)
        {
            _ = Kill(process.Id, number);
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
