using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Mesh.Testing.Namespaces;

/// <summary>How a program ended, and what it said.</summary>
internal sealed record ProcessResult(int ExitCode, string Output, string Errors);

/// <summary>A program that a test started: its output is kept, and it never outlives the test.</summary>
internal sealed partial class NamespaceProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Process _watcher;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();
    private bool _disposed;

    private NamespaceProcess(Process process)
    {
        _process = process;
        Id = process.Id;
        process.OutputDataReceived += (_, e) => Keep(_output, e.Data);
        process.ErrorDataReceived += (_, e) => Keep(_errors, e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();

        // A shell that waits for the end of a pipe only we hold: when the tests themselves are killed, it kills what they started.
        var watch = new ProcessStartInfo("/bin/sh") { RedirectStandardInput = true };
        watch.ArgumentList.Add("-c");
        watch.ArgumentList.Add("read _; kill -KILL $0");
        watch.ArgumentList.Add($"{Id}");
        _watcher = Process.Start(watch)!;
    }

    public int Id { get; }

    public bool HasExited => _process.HasExited;

    /// <summary>The lines it wrote so far.</summary>
    public string Output => Read(_output);

    public string Errors => Read(_errors);

    public static NamespaceProcess Start(string file, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment)
    {
        var start = new ProcessStartInfo(file, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        var process = Process.Start(start)!;
        process.StandardInput.Close();
        return new NamespaceProcess(process);
    }

    /// <summary>Waits until its output holds the text; fails when it ended without.</summary>
    public Task OutputAsync(string text, TimeSpan? timeout = null) => Eventually.Async(
        () =>
        {
            // Ended is asked first: what it wrote before it ended is then already here.
            var ended = _process.HasExited && _process.WaitForExit(TimeSpan.FromSeconds(5));
            return Output.Contains(text, StringComparison.Ordinal)
                || (ended ? throw new InvalidOperationException($"It ended with {_process.ExitCode} without '{text}': {Output}{Errors}") : false);
        },
        $"'{text}' in the output of process {Id}",
        timeout);

    /// <summary>Its exit status, and all its output read.</summary>
    public async Task<int> ExitAsync(TimeSpan limit)
    {
        try
        {
            await _process.WaitForExitAsync().WaitAsync(limit);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"'{_process.StartInfo.FileName} {string.Join(' ', _process.StartInfo.ArgumentList)}' did not end in {limit.TotalSeconds} s: {Output}{Errors}");
        }

        return _process.ExitCode;
    }

    /// <summary>Sends it a signal by number.</summary>
    public void Signal(int number)
    {
        if (Kill(Id, number) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError());
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _watcher.Kill();
        await _watcher.WaitForExitAsync();
        _watcher.Dispose();
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(10));
        _process.Dispose();
    }

    private static void Keep(StringBuilder where, string? line)
    {
        if (line is not null)
        {
            lock (where)
            {
                where.AppendLine(line);
            }
        }
    }

    private static string Read(StringBuilder where)
    {
        lock (where)
        {
            return where.ToString();
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);
}
