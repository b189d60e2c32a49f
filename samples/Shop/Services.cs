using System.Globalization;
using System.Net.Http.Json;
using Shop.Processes;

namespace Shop;

/// <summary>The shop's own processes: each meshed one with a token of its own, and the customers.</summary>
internal sealed class Services(ChildStarter starter, ShopFolders folders, ShopOptions options, ControlPlane controlPlane) : IAsyncDisposable
{
    private const string Generator = "traffic-generator";
    private const string Intruder = "intruder";
    private readonly Dictionary<string, Child> _children = [];
    private readonly Dictionary<string, int> _adminPorts = [];
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(30) };
    private int _generatorPort;
    private int _intruderPort;

    /// <summary>Ports by replica name.</summary>
    public IReadOnlyDictionary<string, int> Ports { get; private set; } = new Dictionary<string, int>();

    public Uri Storefront => new($"http://127.0.0.1:{Port("storefront-1")}");

    public void ChoosePorts(Ports ports)
    {
        Ports = Replica.All.ToDictionary(replica => replica.Name, _ => ports.Take());
        foreach (var replica in Replica.All.Where(replica => replica.Project == "Catalog"))
        {
            _adminPorts[replica.Name] = ports.Take();
        }

        _generatorPort = ports.Take();
        _intruderPort = ports.Take();
    }

    public Child this[string name] => _children[name];

    public IReadOnlyCollection<Child> All => _children.Values;

    public string Address(string name) => $"127.0.0.1:{Port(name)}";

    public Task StartAllAsync(CancellationToken cancellationToken) =>
        Task.WhenAll(Replica.All.Select(replica => StartAsync(replica, cancellationToken)));

    /// <summary>Starts a process for the first time or again: same port, new token.</summary>
    public async Task StartAsync(Replica replica, CancellationToken cancellationToken)
    {
        var urls = $"http://127.0.0.1:{Port(replica.Name)}";
        var environment = await MeshedAsync(replica.Workload, replica.Workload, cancellationToken);
        environment["Payments__Ledger"] = folders.Ledger;
        environment["Pricing__Version"] = replica.Workload == "pricing-v2" ? "v2" : "v1";
        if (_adminPorts.TryGetValue(replica.Name, out var admin))
        {
            urls += $";http://127.0.0.1:{admin.ToString(CultureInfo.InvariantCulture)}";
            environment["Mesh__Server__ExcludedPorts__0"] = admin.ToString(CultureInfo.InvariantCulture);
        }

        environment["ASPNETCORE_URLS"] = urls;
        await ReplaceAsync(replica.Name, await Child.StartAsync(
            starter, replica.Name, [folders.Service(replica.Project)], folders.Run, environment, folders.Log(replica.Name)));
    }

    /// <summary>Waits until every replica proves its identity to the control plane.</summary>
    public Task WaitUntilMeshedAsync(TimeSpan limit, CancellationToken cancellationToken) =>
        Waiting.UntilAsync("every replica to be in the mesh", limit, async cancelled =>
        {
            ThrowIfAnyEnded();
            var workloads = await controlPlane.Api.WorkloadsAsync(cancelled);
            var missing = Replica.All.Where(replica => !workloads.Any(workload => workload.Address == Address(replica.Name) && workload.Meshed)).ToList();
            return missing.Count == 0
                ? null
                : "not meshed: " + string.Join(", ", missing.Select(replica =>
                    $"{replica.Name} ({workloads.FirstOrDefault(workload => workload.Address == Address(replica.Name))?.Reason ?? "not known to the control plane"}; log {this[replica.Name].LogFile})"));
        }, cancellationToken);

    public async Task StartTrafficAsync(CancellationToken cancellationToken)
    {
        var environment = new Dictionary<string, string>
        {
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{_generatorPort}",
            ["Traffic__Target"] = Storefront.ToString(),
            ["Traffic__Customers"] = options.Customers.ToString(CultureInfo.InvariantCulture),
            ["Traffic__PauseMs"] = options.Pause.TotalMilliseconds.ToString("0", CultureInfo.InvariantCulture),
            ["Logging__LogLevel__Default"] = "Warning",
        };
        await ReplaceAsync(Generator, await Child.StartAsync(
            starter, Generator, [folders.Service("TrafficGenerator")], folders.Run, environment, folders.Log(Generator)));
        await Waiting.UntilAsync("the first page of the shop", TimeSpan.FromSeconds(60), async cancelled =>
        {
            ThrowIfAnyEnded();
            var stats = await TrafficAsync(cancelled);
            return stats.FirstSuccessAt is null ? $"{stats.Requests} requests, none succeeded. {stats.LastFailure}" : null;
        }, cancellationToken);
    }

    /// <summary>Starts one that is in the mesh with another's identity, and serves nobody.</summary>
    public async Task StartIntruderAsync(string serviceAccount, CancellationToken cancellationToken)
    {
        var environment = await MeshedAsync(Intruder, serviceAccount, cancellationToken);
        environment["ASPNETCORE_URLS"] = $"http://127.0.0.1:{_intruderPort}";
        await ReplaceAsync(Intruder, await Child.StartAsync(
            starter, Intruder, [folders.Service("Intruder")], folders.Run, environment, folders.Log(Intruder)));
    }

    /// <summary>Asks payments as the intruder, through the mesh.</summary>
    public async Task<Answer> AskAsIntruderAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await _http.PostAsync(new Uri($"http://127.0.0.1:{_intruderPort}/ask?path={Uri.EscapeDataString(path)}"), content: null, cancellationToken);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadFromJsonAsync<Answer>(cancellationToken) ?? throw new HttpRequestException("The intruder answered null.");
    }

    /// <summary>Asks a replica of payments from outside of the mesh.</summary>
    public async Task<Answer> AskFromOutsideAsync(string replica, string path, CancellationToken cancellationToken)
    {
        using var response = await _http.PutAsync(new Uri($"http://{Address(replica)}{path}"), content: null, cancellationToken);
        return new Answer((int)response.StatusCode, response.Headers.TryGetValues("mesh-error", out var codes) ? string.Join(',', codes) : null);
    }

    public async Task EndIntruderAsync()
    {
        Child? child;
        lock (_children)
        {
            _children.Remove(Intruder, out child);
        }

        if (child is not null)
        {
            await child.DisposeAsync();
        }
    }

    public async Task<TrafficCount> TrafficAsync(CancellationToken cancellationToken) =>
        await _http.GetFromJsonAsync<TrafficCount>($"http://127.0.0.1:{_generatorPort}/stats", cancellationToken)
        ?? throw new HttpRequestException("The traffic generator answered null.");

    /// <summary>Lets requests in flight end, then counts for the last time.</summary>
    public async Task<TrafficCount> StopTrafficAsync(CancellationToken cancellationToken)
    {
        using var response = await _http.PostAsync(new Uri($"http://127.0.0.1:{_generatorPort}/stop"), content: null, cancellationToken);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadFromJsonAsync<TrafficCount>(cancellationToken) ?? throw new HttpRequestException("The traffic generator answered null.");
    }

    public async Task SlowAsync(string catalog, int milliseconds, CancellationToken cancellationToken)
    {
        using var response = await _http.PostAsync(new Uri($"http://127.0.0.1:{_adminPorts[catalog]}/slow?ms={milliseconds}"), content: null, cancellationToken);
        response.EnsureSuccessStatusCode();
    }

    public void ThrowIfAnyEnded()
    {
        if (_children.Values.FirstOrDefault(child => child.HasExited) is { } ended)
        {
            throw new ShopException(ended.Obituary);
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Customers first, then the storefront, so that nobody calls what is gone.
        foreach (var name in new[] { Generator, "storefront-1" })
        {
            if (_children.Remove(name, out var child))
            {
                await child.DisposeAsync();
            }
        }

        await Task.WhenAll(_children.Values.Select(child => child.DisposeAsync().AsTask()));
        _http.Dispose();
    }

    private int Port(string name) => Ports[name];

    /// <summary>What puts a process into the mesh, with a token that is good once.</summary>
    private async Task<Dictionary<string, string>> MeshedAsync(string workload, string serviceAccount, CancellationToken cancellationToken) => new()
    {
        ["Mesh__ControlPlane"] = controlPlane.Address,
        ["Mesh__TrustBundle"] = controlPlane.TrustBundle,
        ["Mesh__Token"] = await controlPlane.Api.CreateTokenAsync(serviceAccount, cancellationToken),
        ["Mesh__Namespace"] = "shop",
        ["Mesh__ServiceAccount"] = serviceAccount,
        ["Mesh__Workload"] = workload,
        ["Mesh__TelemetryInterval"] = "00:00:01",
        ["Logging__LogLevel__Default"] = "Warning",
        ["Logging__LogLevel__Mesh"] = "Information",
    };

    private async Task ReplaceAsync(string name, Child child)
    {
        Child? old;
        lock (_children)
        {
            _children.Remove(name, out old);
            _children[name] = child;
        }

        if (old is not null)
        {
            await old.DisposeAsync();
        }
    }
}

/// <summary>What the customers counted.</summary>
internal sealed record TrafficCount(long Requests, long Failures, DateTimeOffset? FirstSuccessAt, string? LastFailure);

/// <summary>How payments answered somebody who may not ask.</summary>
/// <param name="MeshError">Set when the mesh answered, not the app.</param>
internal sealed record Answer(int Status, string? MeshError);
