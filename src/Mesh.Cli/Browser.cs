using System.ComponentModel;
using System.Diagnostics;

namespace Mesh.Cli;

/// <summary>The browser of whoever sits here.</summary>
internal static class Browser
{
    /// <returns>False when there is no desktop, or nothing that opens pages.</returns>
    public static bool Open(Uri page, Func<string, string?> environment)
    {
        var (program, desktop) = OperatingSystem.IsWindows() ? ("explorer", true)
            : OperatingSystem.IsMacOS() ? ("open", true)
            : ("xdg-open", environment("DISPLAY") is { Length: > 0 } || environment("WAYLAND_DISPLAY") is { Length: > 0 });
        if (!desktop)
        {
            return false;
        }

        try
        {
            using var process = Process.Start(new ProcessStartInfo(program) { ArgumentList = { page.ToString() }, UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true });
            return process is not null;
        }
        catch (Exception e) when (e is Win32Exception or InvalidOperationException)
        {
            return false;
        }
    }
}
