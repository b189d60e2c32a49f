using System.Net;
using Mesh.Traffic;
using Xunit;

namespace Mesh.Policy;

/// <summary>Checklist B 28: a configuration can't make a workload fetch from where only the workload gets to.</summary>
public sealed class FetchGuardTests
{
    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("10.1.2.3")]
    [InlineData("100.64.0.1")]
    [InlineData("127.0.0.1")]
    [InlineData("127.255.0.9")]
    [InlineData("169.254.1.1")]
    [InlineData("172.16.0.1")]
    [InlineData("172.31.255.255")]
    [InlineData("192.168.0.1")]
    [InlineData("198.18.0.1")]
    [InlineData("224.0.0.1")]
    [InlineData("240.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("::")]
    [InlineData("::1")]
    [InlineData("::127.0.0.1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:10.0.0.1")]
    [InlineData("64:ff9b::7f00:1")]
    [InlineData("64:ff9b:1::1")]
    [InlineData("2002:7f00:1::")]
    [InlineData("2002:a00:1::")]
    [InlineData("2001::1")]
    [InlineData("2001:db8::1")]
    [InlineData("fc00::1")]
    [InlineData("fdff::1")]
    [InlineData("fe80::1")]
    [InlineData("fe80::1%3")]
    [InlineData("fec0::1")]
    [InlineData("ff02::1")]
    public void WhyNot_NotPublic_IsClosed(string address) => Assert.NotNull(new FetchGuard(AddressRanges.None).WhyNot(IPAddress.Parse(address)));

    [Theory]
    [InlineData("1.1.1.1")]
    [InlineData("172.32.0.1")]
    [InlineData("100.63.255.255")]
    [InlineData("2606:4700::1111")]
    [InlineData("::ffff:1.1.1.1")]
    [InlineData("64:ff9b::101:101")]
    public void WhyNot_Public_IsOpen(string address) => Assert.Null(new FetchGuard(AddressRanges.None).WhyNot(IPAddress.Parse(address)));

    [Theory]
    [InlineData("169.254.169.254")]
    [InlineData("169.254.170.2")]
    [InlineData("168.63.129.16")]
    [InlineData("100.100.100.200")]
    [InlineData("fd00:ec2::254")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("64:ff9b::a9fe:a9fe")]
    [InlineData("2002:a9fe:a9fe::")]
    public void WhyNot_MetadataService_IsClosedWhateverIsAllowed(string address) =>
        Assert.Equal("a cloud's metadata service", new FetchGuard(AddressRanges.Of(["0.0.0.0/0", "::/0"])).WhyNot(IPAddress.Parse(address)));

    [Fact]
    public void WhyNot_AllowedNetwork_IsOpenAndOthersStayClosed()
    {
        var guard = new FetchGuard(AddressRanges.Of(["10.96.0.0/12", "fd00:1::/32", "192.168.7.7"]));
        Assert.Null(guard.WhyNot(IPAddress.Parse("10.100.1.1")));
        Assert.Null(guard.WhyNot(IPAddress.Parse("::ffff:10.100.1.1")));
        Assert.Null(guard.WhyNot(IPAddress.Parse("fd00:1::5")));
        Assert.Null(guard.WhyNot(IPAddress.Parse("192.168.7.7")));
        Assert.NotNull(guard.WhyNot(IPAddress.Parse("192.168.7.8")));
        Assert.NotNull(guard.WhyNot(IPAddress.Parse("10.0.0.1")));
    }

    [Theory]
    [InlineData("10.0.0.0/8", true)]
    [InlineData("10.0.0.1", true)]
    [InlineData("::1", true)]
    [InlineData("10.0.0.1/8", true)]
    [InlineData("10.0.0.0/33", false)]
    [InlineData("fe80::1%eth0", false)]
    [InlineData("10.1", false)]
    [InlineData("localhost", false)]
    [InlineData("", false)]
    public void TryParse_Networks(string text, bool valid) => Assert.Equal(valid, AddressRanges.TryParse(text, out _));
}
