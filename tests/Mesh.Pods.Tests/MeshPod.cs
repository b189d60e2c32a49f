using System.Net;
using System.Net.Sockets;
using Mesh.Testing;
using Mesh.Testing.Namespaces;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>One pod of a <see cref="PodMesh"/>: an app under its own user, and beside it, where the pod is meshed, mesh-proxy under the proxy's.</summary>
/// <param name="account">The service account; null: a pod without a sidecar.</param>
/// <param name="settings">What this pod's operator set for the sidecar.</param>
internal sealed class MeshPod(PodMesh mesh, Pod pod, string? account, IReadOnlyDictionary<string, string> settings)
{
    public const uint ProxyUser = 2102;
    public const uint AppUser = 1000;
    private const int Term = 15;
    private const int Kill = 9;

    public string Name => pod.Name;

    public IPAddress IpV4 => pod.IpV4;

    public IPAddress IpV6 => pod.IpV6;

    public NetworkNamespace Namespace => pod.Namespace;

    /// <summary>The running sidecar.</summary>
    public NamespaceProcess Sidecar { get; private set; } = null!;

    /// <summary>The running app, the last that was started.</summary>
    public NamespaceProcess App { get; private set; } = null!;

    /// <summary>Writes the rules, as the pod's init container would.</summary>
    public async Task RedirectAsync()
    {
        var (file, arguments) = Programs.Proxy("init");
        var result = await pod.Namespace.RunAsync(null, file, arguments);
        Assert.True(result.ExitCode == 0, $"init ended with {result.ExitCode}: {result.Errors}");
    }

    /// <summary>Starts the sidecar with a join token of its own.</summary>
    /// <param name="tokenFile">Where the token is read, which the caller provides.</param>
    public async Task StartSidecarAsync(string? tokenFile = null)
    {
        var (file, arguments) = Programs.Proxy("run");
        var environment = new Dictionary<string, string>
        {
            ["MESH_CONTROL_PLANE"] = mesh.Grpc,
            ["MESH_TRUST_BUNDLE"] = mesh.TrustBundle,
            ["MESH_NAMESPACE"] = PodMesh.KubernetesNamespace,
            ["MESH_SERVICE_ACCOUNT"] = account!,
            ["MESH_WORKLOAD"] = account!,
            ["MESH_TELEMETRY_INTERVAL"] = "1s",
            ["MESH_DRAIN_TIMEOUT"] = "20s",
            ["DOTNET_EnableDiagnostics"] = "0",
            ["DOTNET_TieredPGO"] = "0",
            [tokenFile is null ? "MESH_TOKEN" : "MESH_TOKEN_FILE"] = tokenFile ?? await mesh.CreateTokenAsync(account!),
        };
        foreach (var (name, value) in settings)
        {
            environment[name] = value;
        }

        Sidecar = pod.Namespace.Start(ProxyUser, file, arguments, environment);
    }

    /// <summary>Waits until the sidecar says that it is ready.</summary>
    public async Task ReadyAsync()
    {
        try
        {
            // Its log first, which costs less to look at.
            await Sidecar.OutputAsync("is in force until", PodMesh.StartLimit);
            await Eventually.Async(async () => (await AdminAsync("/ready")).Status == 200, $"/ready of {Name} is 200");
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"The sidecar of {Name} is not ready: {Sidecar.Output}{Sidecar.Errors}", e);
        }
    }

    /// <summary>Asks the sidecar's admin port from inside the pod; status 0 when nobody answers.</summary>
    public async Task<(int Status, string Body)> AdminAsync(string path)
    {
        using var client = Http(null);
        try
        {
            using var answer = await client.GetAsync(new Uri($"http://127.0.0.1:4191{path}"), TestContext.Current.CancellationToken);
            return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
        catch (HttpRequestException)
        {
            return (0, "");
        }
    }

    /// <summary>Starts a server and waits until it serves.</summary>
    public async Task<NamespaceProcess> ServeAsync(string file, params string[] arguments)
    {
        var process = Start(file, arguments);
        await process.OutputAsync("serving", PodMesh.StartLimit);
        return App = process;
    }

    public NamespaceProcess Start(string file, params string[] arguments) => pod.Namespace.Start(AppUser, file, arguments);

    /// <summary>Runs a program as the app's user, to its end; it must succeed.</summary>
    public async Task<string> RunAsync(string file, params string[] arguments)
    {
        var result = await pod.Namespace.RunAsync(AppUser, file, arguments);
        Assert.True(result.ExitCode == 0, $"{file} {string.Join(' ', arguments)} ended with {result.ExitCode}: {result.Output}{result.Errors}\n{mesh.Said()}");
        return result.Output;
    }

    /// <summary>A client whose connections are made in the pod, by the app's user unless another is given.</summary>
    public HttpClient Http(uint? uid = AppUser)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (context, cancel) => new NetworkStream(await ConnectAsync(IPAddress.Parse(context.DnsEndPoint.Host), context.DnsEndPoint.Port, uid, cancel), ownsSocket: true),
        };
        return new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(30) };
    }

    public async Task<Socket> ConnectAsync(IPAddress address, int port, uint? uid = AppUser, CancellationToken cancel = default)
    {
        var socket = pod.Namespace.Inside(uid, () => new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
        try
        {
            await socket.ConnectAsync(address, port, cancel).AsTask().WaitAsync(TimeSpan.FromSeconds(15), cancel);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>One GET on a connection of its own.</summary>
    public async Task<HttpResponseMessage> GetAsync(string url)
    {
        using var client = Http();
        return await client.GetAsync(new Uri(url), TestContext.Current.CancellationToken);
    }

    /// <summary>Ends the sidecar as Kubernetes does; its status.</summary>
    public async Task<int> TerminateSidecarAsync(TimeSpan limit)
    {
        Sidecar.Signal(Term);
        return await Sidecar.ExitAsync(limit);
    }

    public static async Task KillAsync(NamespaceProcess process)
    {
        process.Signal(Kill);
        await process.ExitAsync(TimeSpan.FromSeconds(10));
    }

    public static async Task TerminateAsync(NamespaceProcess process)
    {
        process.Signal(Term);
        await process.ExitAsync(TimeSpan.FromSeconds(20));
    }
}
