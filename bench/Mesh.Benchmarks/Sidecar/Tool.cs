using System.Diagnostics;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>Runs other programs to their end.</summary>
internal static class Tool
{
    public static async Task<string> RunAsync(TimeSpan limit, string input, string program, params string[] arguments)
    {
        using var process = Start(program, arguments);
        using var expiry = new CancellationTokenSource(limit);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(expiry.Token);
            var errors = process.StandardError.ReadToEndAsync(expiry.Token);
            await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
            await process.WaitForExitAsync(expiry.Token);
            return process.ExitCode == 0
                ? await output
                : throw new InvalidOperationException($"'{program} {string.Join(' ', arguments)}' ended with {process.ExitCode}: {(await errors).Trim()} {(await output).Trim()}");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    public static Task<string> RunAsync(string program, params string[] arguments) => RunAsync(TimeSpan.FromSeconds(20), "", program, arguments);

    public static Process Start(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }

    public static bool Exists(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Concat(["/usr/sbin", "/sbin"]).Any(folder => File.Exists(Path.Combine(folder, program)));
}
