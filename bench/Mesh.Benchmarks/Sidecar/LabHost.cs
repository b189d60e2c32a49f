using System.Diagnostics;
using System.Globalization;
using System.Net;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>A namespace with an address, and the processes that were started in it.</summary>
internal sealed class LabHost(string name, IPAddress address) : IAsyncDisposable
{
    /// <summary>The user whose connections are not redirected: the sidecars'.</summary>
    public const int ProxyUser = 2102;

    private readonly List<LabProcess> _processes = [];

    public string Namespace => name;

    public IPAddress Address => address;

    public Task<string> RunAsync(params string[] command) => Tool.RunAsync("ip", ["netns", "exec", name, .. command]);

    public Task<string> RunAsync(TimeSpan limit, params string[] command) => Tool.RunAsync(limit, "", "ip", ["netns", "exec", name, .. command]);

    /// <param name="user">Null is root.</param>
    public LabProcess Start(int? user, IReadOnlyDictionary<string, string>? environment, params string[] command)
    {
        string[] identity = user is { } id ? Words($"setpriv --reuid {id} --regid {id} --clear-groups --inh-caps=-all") : [];
        string[] settings = [.. (environment ?? new Dictionary<string, string>()).Select(e => $"{e.Key}={e.Value}")];
        var process = new LabProcess(Tool.Start("ip", ["netns", "exec", name, "env", .. settings, .. identity, .. command]));
        _processes.Add(process);
        return process;
    }

    /// <summary>Redirects like a mesh's init container: what leaves for the services' addresses goes to the outbound ports, what comes for the app to the inbound ones.</summary>
    public async Task RedirectAsync(string chain, IEnumerable<(int From, int To)> ports)
    {
        foreach (var (from, to) in ports)
        {
            string[] who = chain == "OUTPUT" ? Words($"-d {Services} -m owner ! --uid-owner {ProxyUser}") : [];
            await RunAsync(["iptables", "-w", "-t", "nat", "-A", chain, "-p", "tcp", "--dport", Text(from), .. who, "-j", "REDIRECT", "--to-ports", Text(to)]);
        }
    }

    public const string Services = "10.96.0.0/16";

    private static string[] Words(FormattableString text) => text.ToString(CultureInfo.InvariantCulture).Split(' ');

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes)
        {
            await process.DisposeAsync();
        }
    }
}

/// <summary>A started program: its output is read and kept, it ends with the bench.</summary>
internal sealed class LabProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly List<string> _output = [];
    private readonly Lock _gate = new();

    public LabProcess(Process process)
    {
        _process = process;
        process.OutputDataReceived += Keep;
        process.ErrorDataReceived += Keep;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public string Output
    {
        get
        {
            lock (_gate)
            {
                return string.Join('\n', _output);
            }
        }
    }

    /// <summary>This process and those it started (nginx's worker).</summary>
    public IReadOnlyList<int> Tree() => [.. Descendants(Id)];

    /// <summary>CPU time of the tree, user and system.</summary>
    public TimeSpan Cpu() => Tree().Aggregate(TimeSpan.Zero, (sum, id) => sum + CpuOf(id));

    /// <summary>Resident memory of the tree, in KiB.</summary>
    public long ResidentKiB() => Tree().Sum(id => long.Parse(
        File.ReadLines($"/proc/{id}/status").First(l => l.StartsWith("VmRSS", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
        CultureInfo.InvariantCulture));

    /// <summary>Waits until it says something, or says what it said instead.</summary>
    public async Task<string> SaysAsync(string words, TimeSpan limit)
    {
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < limit; await Task.Delay(1))
        {
            // Looked at before the words: what it said last is there once its end is.
            var ended = _process.HasExited;
            if (ended)
            {
                await _process.WaitForExitAsync();
            }

            lock (_gate)
            {
                if (_output.FirstOrDefault(l => l.Contains(words, StringComparison.Ordinal)) is { } line)
                {
                    return line;
                }
            }

            if (ended)
            {
                break;
            }
        }

        throw new InvalidOperationException($"It did not say '{words}' in {limit.TotalSeconds} s, but: {Output}");
    }

    public async Task StopAsync()
    {
        _process.StandardInput.Close();
        await Tool.RunAsync("kill", _process.HasExited ? ["-0", "1"] : ["-TERM", Id.ToString(CultureInfo.InvariantCulture)]);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        try
        {
            await _process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is { } text)
        {
            lock (_gate)
            {
                _output.Add(text);
                if (_output.Count > 200)
                {
                    _output.RemoveAt(0);
                }
            }
        }
    }

    private static IEnumerable<int> Descendants(int id)
    {
        yield return id;
        var children = $"/proc/{id}/task/{id}/children";
        if (File.Exists(children))
        {
            foreach (var child in File.ReadAllText(children).Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                foreach (var below in Descendants(int.Parse(child, CultureInfo.InvariantCulture)))
                {
                    yield return below;
                }
            }
        }
    }

    private static TimeSpan CpuOf(int id)
    {
        // proc(5): utime and stime are fields 14 and 15, in hundredths of a second; the second field may hold blanks.
        var stat = File.ReadAllText($"/proc/{id}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return TimeSpan.FromMilliseconds(10 * (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)));
    }
}
