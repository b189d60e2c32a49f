using System.Diagnostics;
using System.Text;

namespace Mesh.EndToEnd.Tests;

/// <summary>A program that a test started: its output is kept, and it never outlives the test.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Process? _watcher;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();
    private readonly TaskCompletionSource<string> _firstLine = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private ChildProcess(Process process)
    {
        _process = process;
        _watcher = Watch(process.Id);
        process.OutputDataReceived += (_, e) => Keep(_output, e.Data, _firstLine);
        process.ErrorDataReceived += (_, e) => Keep(_errors, e.Data, null);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public string Output => Read(_output);

    public bool HasExited => _process.HasExited;

    public string Errors => Read(_errors);

    public static ChildProcess Start(string file, string[] arguments, IReadOnlyDictionary<string, string>? environment = null, string? folder = null)
    {
        var start = new ProcessStartInfo(file) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, WorkingDirectory = folder ?? "" };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        return new ChildProcess(Process.Start(start)!);
    }

    /// <summary>Starts one of our own programs, which stand beside the tests.</summary>
    public static ChildProcess StartOurs(string assembly, params string[] arguments) =>
        Start(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", [Path.Combine(AppContext.BaseDirectory, assembly + ".dll"), .. arguments]);

    public async Task<string> FirstLineAsync(TimeSpan limit)
    {
        var ended = _process.WaitForExitAsync();
        if (await Task.WhenAny(_firstLine.Task, ended).WaitAsync(limit) == ended && !_firstLine.Task.IsCompleted)
        {
            throw new InvalidOperationException($"It ended with {_process.ExitCode} before it printed a line: {Errors}");
        }

        return await _firstLine.Task;
    }

    public async Task<int> ExitAsync(TimeSpan limit)
    {
        await _process.WaitForExitAsync().WaitAsync(limit);
        return _process.ExitCode;
    }

    /// <summary>SIGTERM, as an init system or Kubernetes sends.</summary>
    public async Task TerminateAsync()
    {
        using var kill = Process.Start("kill", ["-TERM", $"{_process.Id}"]);
        await kill.WaitForExitAsync();
    }

    /// <summary>SIGKILL, as an out-of-memory killer would.</summary>
    public async Task KillAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _watcher?.Kill();
        _watcher?.Dispose();
        await KillAsync();
        _process.Dispose();
    }

    /// <summary>A shell that waits for the end of a pipe only we hold: when the tests themselves are killed, it kills what they started.</summary>
    private static Process? Watch(int id)
    {
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("read _; kill -KILL $0");
        start.ArgumentList.Add($"{id}");
        return OperatingSystem.IsWindows() ? null : Process.Start(start);
    }

    private static void Keep(StringBuilder where, string? line, TaskCompletionSource<string>? first)
    {
        if (line is not null)
        {
            lock (where)
            {
                where.AppendLine(line);
            }

            first?.TrySetResult(line);
        }
    }

    private static string Read(StringBuilder where)
    {
        lock (where)
        {
            return where.ToString();
        }
    }
}
