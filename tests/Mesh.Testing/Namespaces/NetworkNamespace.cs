using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mesh.Testing.Namespaces;

/// <summary>A network namespace of its own (Linux, root): a host, or a pod, with interfaces, routes, rules and ports that no other test sees.</summary>
/// <remarks>Its name carries the test's process id, so that what a killed run left behind is found and removed by the next.</remarks>
internal sealed partial class NetworkNamespace : IAsyncDisposable
{
    private const string Prefix = "mesh-test-";
    private const string Folder = "/run/netns";
    private const int CloneNewNet = 0x4000_0000;
    private static readonly Lazy<Task> Stale = new(RemoveStaleAsync);
    private static int _last;

    private readonly List<NamespaceProcess> _processes = [];

    private NetworkNamespace(string name) => Name = name;

    /// <summary>Why tests with namespaces can't run here, or null: <c>Assert.SkipWhen(reason is not null, reason)</c>.</summary>
    public static string? SkipReason =>
        (Environment.GetEnvironmentVariable("MESH_TEST_SKIP") ?? "").Contains("namespaces", StringComparison.Ordinal)
            ? "Network namespaces need root, iproute2, iptables and nftables; ./eng/test installs them when run as root."
            : null;

    public string Name { get; }

    /// <summary>Makes one, with loopback up and nothing else.</summary>
    public static async Task<NetworkNamespace> CreateAsync(string label)
    {
        await Stale.Value;
        var made = new NetworkNamespace($"{Prefix}{Environment.ProcessId}-{Interlocked.Increment(ref _last)}-{label}");
        await ToolAsync("ip", "netns", "add", made.Name);
        try
        {
            await made.IpAsync("link set lo up");
            return made;
        }
        catch
        {
            await made.DisposeAsync();
            throw;
        }
    }

    /// <summary>A veth pair between two, both ends up; addresses are the caller's.</summary>
    public static async Task ConnectAsync(NetworkNamespace left, string leftInterface, NetworkNamespace right, string rightInterface)
    {
        await left.IpAsync($"link add {leftInterface} type veth peer name {rightInterface} netns {right.Name}");
        await left.IpAsync($"link set {leftInterface} up");
        await right.IpAsync($"link set {rightInterface} up");
    }

    /// <summary>An <c>ip</c> command inside, such as <c>addr add 10.0.0.1/24 dev eth0</c>; it must succeed.</summary>
    public Task<string> IpAsync(string command) => ToolAsync("ip", ["-n", Name, .. command.Split(' ')]);

    /// <summary>Adds an address; an IPv6 one can be used at once (no duplicate address detection).</summary>
    public Task<string> AddAddressAsync(string address, string device) =>
        IpAsync($"addr add {address} dev {device}{(address.Contains(':', StringComparison.Ordinal) ? " nodad" : "")}");

    /// <summary>Starts a program inside; it is killed with the namespace, and when the test's own process is killed.</summary>
    /// <param name="uid">The user (and group) to run it as; null: root with all capabilities.</param>
    public NamespaceProcess Start(uint? uid, string file, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        // nsenter and not `ip netns exec`, which hides the cgroup mounts. Each execs the next: the process id is the program's.
        List<string> command = [$"--net={Folder}/{Name}", "--"];
        if (uid is { } user)
        {
            var id = user.ToString(CultureInfo.InvariantCulture);
            command.AddRange(["setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--"]);
        }

        var process = NamespaceProcess.Start("nsenter", [.. command, file, .. arguments], environment);
        lock (_processes)
        {
            _processes.Add(process);
        }

        return process;
    }

    /// <summary>Runs a program inside to its end, 60 s at most.</summary>
    public async Task<ProcessResult> RunAsync(uint? uid, string file, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        await using var process = Start(uid, file, arguments, environment);
        var code = await process.ExitAsync(TimeSpan.FromSeconds(60));
        return new(code, process.Output, process.Errors);
    }

    /// <summary>Does something of the test's own process inside: a socket made there stays there, wherever it is used later.</summary>
    /// <param name="uid">The user (and group) that rules on a socket's owner see for sockets made meanwhile; null: root.</param>
    public T Inside<T>(uint? uid, Func<T> action)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);

        // Namespace and file-system user belong to the thread: one of its own, which ends with the action.
        var thread = new Thread(() =>
        {
            try
            {
                Enter(uid);
                done.SetResult(action());
            }
            catch (Exception exception)
            {
                done.SetException(exception);
            }
        });
        thread.Start();
        thread.Join();
        return done.Task.GetAwaiter().GetResult();
    }

    public async ValueTask DisposeAsync()
    {
        NamespaceProcess[] processes;
        lock (_processes)
        {
            processes = [.. _processes];
            _processes.Clear();
        }

        foreach (var process in processes)
        {
            await process.DisposeAsync();
        }

        if (File.Exists($"{Folder}/{Name}"))
        {
            await ToolAsync("ip", "netns", "delete", Name);
        }
    }

    private static async Task<string> ToolAsync(string file, params string[] arguments)
    {
        await using var process = NamespaceProcess.Start(file, arguments, null);
        var code = await process.ExitAsync(TimeSpan.FromSeconds(30));
        return code == 0 ? process.Output : throw new InvalidOperationException($"'{file} {string.Join(' ', arguments)}' ended with {code}: {process.Errors}");
    }

    private static async Task RemoveStaleAsync()
    {
        foreach (var path in Directory.Exists(Folder) ? Directory.GetFiles(Folder, Prefix + "*") : [])
        {
            var name = Path.GetFileName(path);
            if (int.TryParse(name[Prefix.Length..].Split('-')[0], CultureInfo.InvariantCulture, out var owner) && !Directory.Exists($"/proc/{owner}"))
            {
                // Another run may be removing it too.
                await using var process = NamespaceProcess.Start("ip", ["netns", "delete", name], null);
                await process.ExitAsync(TimeSpan.FromSeconds(30));
            }
        }
    }

    private void Enter(uint? uid)
    {
        using SafeFileHandle file = File.OpenHandle($"{Folder}/{Name}");
        if (SetNs(file, CloneNewNet) != 0)
        {
            throw new InvalidOperationException($"Namespace {Name} could not be entered: {Marshal.GetLastPInvokeErrorMessage()}");
        }

        if (uid is { } user)
        {
            _ = SetFsGid(user);
            _ = SetFsUid(user);
        }
    }

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int SetNs(SafeHandle file, int kind);

    [LibraryImport("libc", EntryPoint = "setfsuid")]
    private static partial int SetFsUid(uint user);

    [LibraryImport("libc", EntryPoint = "setfsgid")]
    private static partial int SetFsGid(uint group);
}
