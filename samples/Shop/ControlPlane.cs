using System.Globalization;
using System.Text.Json;
using Shop.Processes;

namespace Shop;

/// <summary>The control plane's process. It can be killed and started again: same ports, same data.</summary>
internal sealed class ControlPlane(ChildStarter starter, ShopFolders folders, Ports ports) : IAsyncDisposable
{
    private static readonly TimeSpan _startLimit = TimeSpan.FromSeconds(60);
    private readonly int _ads = ports.Take();
    private readonly int _grpc = ports.Take();
    private readonly int _http = ports.Take();
    private Child? _child;
    private MeshApi? _api;

    /// <summary>Its API; the address and the token may differ after a restart.</summary>
    public MeshApi Api => _api ?? throw new ShopException("the control plane has not been started.");

    public string TrustBundle { get; private set; } = "";

    /// <summary>Where workloads find it.</summary>
    public string Address => $"https://127.0.0.1:{_grpc.ToString(CultureInfo.InvariantCulture)}";

    public Child Child => _child ?? throw new ShopException("the control plane has not been started.");

    /// <summary>True while it is meant to be dead.</summary>
    public bool IsDownOnPurpose { get; private set; }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        string[] arguments =
        [
            folders.ControlPlane, "--config", folders.Mesh, "--data", folders.Data,
            "--ads-port", $"{_ads}", "--grpc-port", $"{_grpc}", "--http-port", $"{_http}",
        ];
        var environment = new Dictionary<string, string> { ["Logging__LogLevel__Default"] = "Warning", ["Logging__LogLevel__Mesh"] = "Information" };
        var child = await Child.StartAsync(starter, "control-plane", arguments, folders.Run, environment, folders.Log("control-plane"));
        if (_child is not null)
        {
            await _child.DisposeAsync();
        }

        _child = child;
        var first = await Task.WhenAny(child.FirstJsonLine, child.Exited, Task.Delay(_startLimit, cancellationToken));
        cancellationToken.ThrowIfCancellationRequested();
        if (first == child.Exited)
        {
            throw new ShopException(child.Obituary);
        }

        if (first != child.FirstJsonLine)
        {
            throw new ShopException($"the control plane gave no ready line within {_startLimit.TotalSeconds:0} s. Its log is {child.LogFile}.");
        }

        var ready = ReadyLine.Parse(await child.FirstJsonLine);
        TrustBundle = ready.TrustBundle;
        var old = _api;
        _api = new MeshApi(ready.Http, ready.Token);
        old?.Dispose();
        IsDownOnPurpose = false;
    }

    public async Task KillAsync()
    {
        IsDownOnPurpose = true;
        Child.Kill();
        await Child.Exited;
    }

    public async ValueTask DisposeAsync()
    {
        _api?.Dispose();
        if (_child is not null)
        {
            await _child.DisposeAsync();
        }
    }
}

/// <summary>What the control plane says when it serves.</summary>
internal sealed record ReadyLine(Uri Http, string TrustBundle, string Token)
{
    public static ReadyLine Parse(string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            var root = document.RootElement;
            if (root.GetProperty("ready").GetBoolean())
            {
                return new ReadyLine(
                    new Uri(root.GetProperty("http").GetString()!), root.GetProperty("trust_bundle").GetString()!, root.GetProperty("token").GetString()!);
            }
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or UriFormatException or ArgumentNullException)
        {
            throw new ShopException($"the control plane's ready line was not understood ({error.Message}).", error);
        }

        throw new ShopException("the control plane says it is not ready.");
    }
}
