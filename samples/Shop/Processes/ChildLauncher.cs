using System.Globalization;
using System.Runtime.InteropServices;

namespace Shop.Processes;

/// <summary>Becomes another program that dies with its parent, even when the parent is killed.</summary>
/// <remarks>
/// Linux: prctl(2) PR_SET_PDEATHSIG survives execve(2), but is a property of a thread (so this runs on the main one), and fires when the
/// <i>thread</i> that started the child ends (so <see cref="ChildStarter"/> has one that never does).
/// </remarks>
internal static partial class ChildLauncher
{
    public const string Argument = "--child";
    private const int SetParentDeathSignal = 1;
    private const nuint Kill = 9;

    /// <summary>Replaces this process: <c>--child PARENT-PID PROGRAM ARGUMENT…</c>. Returns only when that failed.</summary>
    public static int Become(string[] args)
    {
        if (args.Length < 3 || !int.TryParse(args[1], NumberStyles.None, CultureInfo.InvariantCulture, out var parent))
        {
            Console.Error.WriteLine($"{Argument} is for the shop itself: {Argument} PARENT-PID PROGRAM ARGUMENT…");
            return 64;
        }

        // A group of its own: Ctrl-C in the terminal reaches the shop alone, which then ends its children in order.
        _ = SetProcessGroup(0, 0);
        if (ProcessControl(SetParentDeathSignal, Kill, 0, 0, 0) != 0)
        {
            Console.Error.WriteLine($"prctl failed with errno {Marshal.GetLastPInvokeError()}.");
            return 1;
        }

        if (GetParent() != parent)
        {
            return 1; // The parent is gone already.
        }

        string?[] arguments = [.. args[2..], null];
        _ = Execute(args[2], arguments);
        Console.Error.WriteLine($"{args[2]} could not be started: errno {Marshal.GetLastPInvokeError()}.");
        return 127;
    }

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    private static partial int ProcessControl(int option, nuint argument2, nuint argument3, nuint argument4, nuint argument5);

    [LibraryImport("libc", EntryPoint = "getppid")]
    private static partial int GetParent();

    [LibraryImport("libc", EntryPoint = "setpgid")]
    private static partial int SetProcessGroup(int process, int group);

    [LibraryImport("libc", EntryPoint = "execv", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Execute(string path, string?[] arguments);
}
