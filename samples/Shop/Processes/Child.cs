using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Shop.Processes;

/// <summary>A running process of the shop: its output goes to a log file, the end of which is kept for error messages.</summary>
internal sealed partial class Child : IAsyncDisposable
{
    private const int KeptLines = 12;
    private static readonly TimeSpan _grace = TimeSpan.FromSeconds(10);
    private readonly Process _process;
    private readonly StreamWriter _log;
    private readonly Lock _lock = new();
    private readonly Queue<string> _tail = new();
    private readonly TaskCompletionSource<string> _firstJson = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _outputs;
    private bool _closed;

    private Child(string name, Process process, string logFile)
    {
        Name = name;
        LogFile = logFile;
        _process = process;
        _log = new StreamWriter(new FileStream(logFile, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) { AutoFlush = true };
        process.StandardInput.Close();
        _outputs = Task.WhenAll(ReadAsync(process.StandardOutput), ReadAsync(process.StandardError));
        Exited = process.WaitForExitAsync(CancellationToken.None);
    }

    public string Name { get; }

    public string LogFile { get; }

    public int Pid => _process.Id;

    public Task Exited { get; }

    public bool HasExited => _process.HasExited;

    /// <summary>The first line of its output that is a JSON object.</summary>
    public Task<string> FirstJsonLine => _firstJson.Task;

    /// <summary>How it ended, with its last words.</summary>
    public string Obituary
    {
        get
        {
            lock (_lock)
            {
                return $"{Name} ended with exit code {_process.ExitCode}. Its last words ({LogFile}):{Environment.NewLine}  "
                    + string.Join($"{Environment.NewLine}  ", _tail);
            }
        }
    }

    public static async Task<Child> StartAsync(
        ChildStarter starter, string name, IEnumerable<string> arguments, string folder, IReadOnlyDictionary<string, string> environment, string logFile) =>
        new(name, await starter.StartAsync(arguments, folder, environment), logFile);

    public void Kill() => _process.Kill();

    /// <summary>SIGTERM, ten seconds, SIGKILL.</summary>
    public async Task StopAsync()
    {
        if (HasExited)
        {
            return;
        }

        if (OperatingSystem.IsWindows() || Signal(_process.Id, 15) != 0)
        {
            _process.Kill();
        }

        if (await Task.WhenAny(Exited, Task.Delay(_grace)) != Exited && !HasExited)
        {
            _process.Kill();
            await Exited;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        // Whoever still holds the pipe must not hold us.
        await Task.WhenAny(_outputs, Task.Delay(TimeSpan.FromSeconds(1)));
        lock (_lock)
        {
            _closed = true;
            _log.Dispose();
        }

        _process.Dispose();
    }

    private async Task ReadAsync(StreamReader output)
    {
        while (await output.ReadLineAsync() is { } line)
        {
            if (!_firstJson.Task.IsCompleted && line.StartsWith('{'))
            {
                _firstJson.TrySetResult(line);
                continue; // It holds the admin token, which has no place in a log.
            }

            lock (_lock)
            {
                if (_closed)
                {
                    return;
                }

                _log.WriteLine(line);
                _tail.Enqueue(line);
                if (_tail.Count > KeptLines)
                {
                    _tail.Dequeue();
                }
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);
}
