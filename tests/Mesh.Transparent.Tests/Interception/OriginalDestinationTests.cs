using System.Net;
using System.Net.Sockets;
using Mesh.Transparent.Interception;
using Xunit;

namespace Mesh.Transparent.Tests.Interception;

public sealed class OriginalDestinationTests
{
    /// <summary>With redirection it is tested in network namespaces.</summary>
    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1", false)]
    [InlineData("::1", "::1", false)]
    [InlineData("::", "127.0.0.1", true)]
    [InlineData("::", "::1", true)]
    public async Task TryRead_NotRedirected_IsFalse(string listen, string dial, bool dual)
    {
        var bind = IPAddress.Parse(listen);
        using var listener = new Socket(bind.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        if (dual)
        {
            listener.DualMode = true;
        }

        listener.Bind(new IPEndPoint(bind, 0));
        listener.Listen();
        using var client = new Socket(IPAddress.Parse(dial).AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(IPAddress.Parse(dial), ((IPEndPoint)listener.LocalEndPoint!).Port, TestContext.Current.CancellationToken);
        using var accepted = await listener.AcceptAsync(TestContext.Current.CancellationToken);

        Assert.False(OriginalDestination.TryRead(accepted, out var destination));
        Assert.Null(destination);
    }

    [Fact]
    public void TryRead_NotAnInternetSocket_IsFalse()
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        Assert.False(OriginalDestination.TryRead(socket, out _));
    }
}
