using System.Net;
using Mesh.Transparent.Interception;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Transparent.Tests.Interception;

public sealed class OwnAddressesTests
{
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.3.2.1")]
    [InlineData("::1")]
    [InlineData("::ffff:127.0.0.1")]
    public void Contains_Loopback_IsOwn(string address) => Assert.True(new OwnAddresses(_time).Contains(IPAddress.Parse(address)));

    [Theory]
    [InlineData("10.1.2.3")]
    [InlineData("::ffff:10.1.2.3")]
    [InlineData("fe80::7%3")]
    [InlineData("fd00::7")]
    public void Contains_EveryFormOfAnInterfaceAddress_IsOwn(string address)
    {
        var own = new OwnAddresses(_time, () => [IPAddress.Parse("10.1.2.3"), IPAddress.Parse("fe80::7%2"), IPAddress.Parse("fd00::7")]);

        Assert.True(own.Contains(IPAddress.Parse(address)));
        Assert.False(own.Contains(IPAddress.Parse("10.1.2.4")));
    }

    [Fact]
    public void Contains_AnUnknownOne_ReadsAgainAtMostOnceASecond()
    {
        var reads = 0;
        List<IPAddress> addresses = [IPAddress.Parse("10.1.2.3")];
        var own = new OwnAddresses(_time, () =>
        {
            reads++;
            return [.. addresses];
        });
        var late = IPAddress.Parse("fd00::9");

        addresses.Add(late);
        Assert.False(own.Contains(late));
        Assert.Equal(1, reads);

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(own.Contains(late));
        Assert.False(own.Contains(IPAddress.Parse("192.0.2.1")));
        Assert.False(own.Contains(IPAddress.Parse("192.0.2.2")));
        Assert.Equal(2, reads);

        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.True(own.Contains(late));
        Assert.Equal(2, reads);
    }

    [Fact]
    public void Contains_WhenTheyCantBeReadAgain_AnswersByWhatIsKnown()
    {
        var fails = false;
        var known = IPAddress.Parse("10.1.2.3");
        var own = new OwnAddresses(_time, () => fails ? throw new IOException("Too many open files") : [known]);
        fails = true;
        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.False(own.Contains(IPAddress.Parse("10.1.2.4")));
        Assert.True(own.Contains(known));
    }

    [Fact]
    public void Reachable_LeavesLoopbackAndLinkLocalOut()
    {
        var own = new OwnAddresses(_time, () => [.. new[] { "127.0.0.1", "::1", "169.254.3.4", "fe80::1%1", "10.1.2.3", "fd00::7" }.Select(IPAddress.Parse)]);

        Assert.Equal(["10.1.2.3", "fd00::7"], own.Reachable.Select(address => address.ToString()).Order());
    }

    [Fact]
    public void ReadInterfaces_OfThisMachine_AgreesWithTheFramework()
    {
        var own = new OwnAddresses(TimeProvider.System);
        var addresses = System.Net.NetworkInformation.NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(each => each.GetIPProperties().UnicastAddresses).Select(each => each.Address).ToList();

        Assert.All(addresses, address => Assert.True(own.Contains(address), $"{address}"));
    }
}
