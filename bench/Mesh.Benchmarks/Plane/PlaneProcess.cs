using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Mesh.Benchmarks.Plane;

/// <summary>The control plane in a process of its own, with the shipped program's settings of the runtime. It ends with its input.</summary>
internal sealed class PlaneProcess : IAsyncDisposable
{
    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(120);
    private readonly Process _process;
    private readonly Queue<string> _said = new();
    private readonly SemaphoreSlim _writing = new(1);
    private JsonElement _ready;

    private PlaneProcess(Process process) => _process = process;

    /// <summary>Plaintext; empty where there is none.</summary>
    public string Ads => _ready.GetProperty("ads").GetString() ?? string.Empty;

    public string Grpc => Text("grpc");

    public Uri Http => new(Text("http"));

    public string TrustBundle => Text("trust_bundle");

    public string Token => Text("token");

    /// <summary>From exec to the ready line.</summary>
    public TimeSpan Starting { get; private set; }

    /// <summary>CPU time so far, of user and system.</summary>
    public TimeSpan Cpu
    {
        get
        {
            var fields = File.ReadAllText($"/proc/{_process.Id}/stat");
            // After the command's name, which may hold spaces: utime and stime are fields 14 and 15, in hundredths of a second.
            var rest = fields[(fields.LastIndexOf(')') + 2)..].Split(' ');
            return TimeSpan.FromMilliseconds((Number(rest[11]) + Number(rest[12])) * 10);
        }
    }

    /// <summary>Resident memory that is no file's: what it needs beside its program.</summary>
    public double AnonymousKib => Number(File.ReadLines($"/proc/{_process.Id}/status").First(l => l.StartsWith("RssAnon:", StringComparison.Ordinal)).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1]);

    /// <param name="fill">Writes what it must know before it can serve.</param>
    public static async Task<PlaneProcess> StartAsync(IEnumerable<string> arguments, Func<PlaneProcess, Task> fill)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(typeof(PlaneProcess).Assembly.Location);
        }

        foreach (var argument in (string[])["plane-serve", .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        // As Mesh.ControlPlane's own runtimeconfig.json says; the bench's says otherwise.
        start.Environment["DOTNET_gcServer"] = "1";
        var clock = Stopwatch.StartNew();
        var plane = new PlaneProcess(Process.Start(start)!);
        plane._process.ErrorDataReceived += (_, line) => plane.Say(line.Data);
        plane._process.BeginErrorReadLine();
        try
        {
            await fill(plane);
            plane._ready = JsonDocument.Parse(await plane.ReadAsync()).RootElement;
        }
        catch (Exception e)
        {
            await plane.KillAsync();
            throw new InvalidOperationException($"The control plane did not start. It said: {plane.Said}", e);
        }

        plane.Starting = clock.Elapsed;
        return plane;
    }

    /// <summary>The last lines of its log.</summary>
    public string Said
    {
        get
        {
            lock (_said)
            {
                return string.Join(Environment.NewLine, _said);
            }
        }
    }

    public async Task WriteAsync(string lines)
    {
        await _writing.WaitAsync();
        try
        {
            await _process.StandardInput.WriteLineAsync(lines);
            await _process.StandardInput.FlushAsync();
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Collects garbage there, and tells what is left on the managed heap.</summary>
    public async Task<double> CollectAsync()
    {
        await WriteAsync("collect");
        return Number(await ReadAsync()) / 1024d;
    }

    public async Task KillAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await _process.WaitForExitAsync(limit.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _process.Dispose();
        _writing.Dispose();
    }

    private async Task<string> ReadAsync() =>
        await _process.StandardOutput.ReadLineAsync().WaitAsync(_limit) ?? throw new InvalidOperationException($"The control plane ended. It said: {Said}");

    private void Say(string? line)
    {
        if (line is null)
        {
            return;
        }

        lock (_said)
        {
            _said.Enqueue(line);
            if (_said.Count > 40)
            {
                _said.Dequeue();
            }
        }
    }

    private string Text(string name) => _ready.GetProperty(name).GetString()!;

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
