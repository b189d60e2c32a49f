using System.Net;
using System.Net.Sockets;
using Mesh.Testing.Namespaces;
using Xunit;

namespace Mesh.Transparent.Tests.Interception;

/// <summary>Two pods: <c>a</c>, where connections are redirected, and <c>b</c>, where they are not.</summary>
internal sealed class Stage : IAsyncDisposable
{
    public const uint Proxy = 2102;
    public const uint App = 1000;
    private readonly PodNetwork _network;
    private readonly List<IDisposable> _sockets = [];

    private Stage(PodNetwork network) => _network = network;

    public Pod A => _network["a"];

    public Pod B => _network["b"];

    public static async Task<Stage> SetAsync(params string[] init)
    {
        Assert.SkipWhen(NetworkNamespace.SkipReason is not null, NetworkNamespace.SkipReason ?? "");
        var stage = new Stage(await PodNetwork.CreateAsync("a", "b"));
        try
        {
            if (init.Length > 0)
            {
                await ProxyProgram.InitAsync(stage.A.Namespace, init);
            }

            return stage;
        }
        catch
        {
            await stage.DisposeAsync();
            throw;
        }
    }

    public static IPAddress AddressOf(Pod pod, bool ipV6) => ipV6 ? pod.IpV6 : pod.IpV4;

    public static IPAddress Loopback(bool ipV6) => ipV6 ? IPAddress.IPv6Loopback : IPAddress.Loopback;

    /// <summary>Listens in a pod under a user; on <c>::</c> for both families.</summary>
    public Socket Listen(Pod pod, uint uid, IPAddress address, int port)
    {
        var socket = pod.Namespace.Inside(uid, () => new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        _sockets.Add(socket);
        if (address.Equals(IPAddress.IPv6Any))
        {
            socket.DualMode = true;
        }

        socket.Bind(new IPEndPoint(address, port));
        socket.Listen();
        return socket;
    }

    /// <summary>Dials from a pod under a user, and expects this listener to be met: the accepted socket.</summary>
    public async Task<Socket> MeetAsync(Pod from, uint uid, IPAddress address, int port, Socket listener)
    {
        var limit = TestContext.Current.CancellationToken;
        var client = from.Namespace.Inside(uid, () => new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        _sockets.Add(client);
        await client.ConnectAsync(address, port, limit).AsTask().WaitAsync(TimeSpan.FromSeconds(10), limit);
        var accepted = await listener.AcceptAsync(limit).AsTask().WaitAsync(TimeSpan.FromSeconds(10), limit);
        _sockets.Add(accepted);

        // The very connection that was dialled, and not another one.
        Assert.Equal(((IPEndPoint)client.LocalEndPoint!).Port, ((IPEndPoint)accepted.RemoteEndPoint!).Port);
        return accepted;
    }

    /// <summary>Dials where nobody listens and nothing redirects.</summary>
    public async Task<SocketError> RefusedAsync(Pod from, uint uid, IPAddress address, int port)
    {
        var client = from.Namespace.Inside(uid, () => new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        _sockets.Add(client);
        var refused = await Assert.ThrowsAsync<SocketException>(() => client.ConnectAsync(address, port, TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(10)));
        return refused.SocketErrorCode;
    }

    /// <summary>All rules of a pod, without what counts.</summary>
    public static async Task<string> RulesetAsync(Pod pod)
    {
        var result = await pod.Namespace.RunAsync(null, "nft", ["--stateless", "list", "ruleset"]);
        Assert.Equal(0, result.ExitCode);
        return result.Output;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var socket in _sockets)
        {
            socket.Dispose();
        }

        await _network.DisposeAsync();
    }
}
