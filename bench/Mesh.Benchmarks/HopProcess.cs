using System.Diagnostics;
using System.Globalization;

namespace Mesh.Benchmarks;

/// <summary>The serving process: prints its port, then answers every line on its input with its CPU time and allocated bytes. It ends with its input.</summary>
internal sealed class HopProcess(Process process, int port) : IAsyncDisposable
{
    public int Port => port;

    public static async Task<HopProcess> StartAsync(string kind, string certificates)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true, RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(HopProcess).Assembly.Location);
        }

        foreach (var argument in (string[])["serve", kind, certificates])
        {
            start.ArgumentList.Add(argument);
        }

        var process = Process.Start(start)!;
        var line = await process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30));
        return new HopProcess(process, int.Parse(line ?? throw new InvalidOperationException($"The {kind} server ended before it served."), CultureInfo.InvariantCulture));
    }

    public async Task<(TimeSpan Cpu, long Bytes)> ReadAsync()
    {
        await process.StandardInput.WriteLineAsync();
        await process.StandardInput.FlushAsync();
        var parts = (await process.StandardOutput.ReadLineAsync())!.Split(' ');
        return (TimeSpan.FromTicks(long.Parse(parts[0], CultureInfo.InvariantCulture)), long.Parse(parts[1], CultureInfo.InvariantCulture));
    }

    public async ValueTask DisposeAsync()
    {
        process.StandardInput.Close();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        await process.WaitForExitAsync(limit.Token);
        process.Dispose();
    }
}
