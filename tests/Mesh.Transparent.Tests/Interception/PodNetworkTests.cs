using System.Net;
using System.Net.Sockets;
using Mesh.Testing.Namespaces;
using Xunit;

namespace Mesh.Transparent.Tests.Interception;

/// <summary>The stage that the redirection tests stand on.</summary>
public sealed class PodNetworkTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Inside_TwoPods_ReachEachOther(bool ipV6)
    {
        Assert.SkipWhen(NetworkNamespace.SkipReason is not null, NetworkNamespace.SkipReason ?? "");
        await using var network = await PodNetwork.CreateAsync("a", "b");
        var address = ipV6 ? network["b"].IpV6 : network["b"].IpV4;
        using var listener = network["b"].Namespace.Inside(null, () => Listen(new IPEndPoint(address, 8080)));
        using var client = network["a"].Namespace.Inside(1000, () => new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp));

        await client.ConnectAsync(address, 8080, TestContext.Current.CancellationToken);
        using var accepted = await listener.AcceptAsync(TestContext.Current.CancellationToken);

        Assert.Equal(ipV6 ? network["a"].IpV6 : network["a"].IpV4, ((IPEndPoint)accepted.RemoteEndPoint!).Address);
    }

    [Fact]
    public async Task RunAsync_UnderAUser_IsThatUserInThatNamespace()
    {
        Assert.SkipWhen(NetworkNamespace.SkipReason is not null, NetworkNamespace.SkipReason ?? "");
        await using var network = await PodNetwork.CreateAsync("a");

        var result = await network["a"].Namespace.RunAsync(2102, "sh", ["-c", "id -u; id -g; ip -4 -o addr show dev eth0; exit 3"]);

        Assert.Equal(3, result.ExitCode);
        Assert.StartsWith("2102\n2102\n", result.Output, StringComparison.Ordinal);
        Assert.Contains("10.77.0.1/24", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DisposeAsync_WithAProgramRunning_LeavesNothing()
    {
        Assert.SkipWhen(NetworkNamespace.SkipReason is not null, NetworkNamespace.SkipReason ?? "");
        var network = await PodNetwork.CreateAsync("a");
        var inside = network["a"].Namespace;
        var process = inside.Start(2102, "sleep", ["1000"]);

        await network.DisposeAsync();

        Assert.False(File.Exists($"/run/netns/{inside.Name}"));
        Assert.False(Directory.Exists($"/proc/{process.Id}"));
    }

    private static Socket Listen(IPEndPoint at)
    {
        var socket = new Socket(at.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(at);
        socket.Listen();
        return socket;
    }
}
