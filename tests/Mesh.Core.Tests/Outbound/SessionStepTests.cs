using Mesh.Outbound.Steps;
using Xunit;

namespace Mesh.Outbound;

[Trait("gRFC", "A55")]
public sealed class SessionStepTests
{
    // RFC 6265 §5.1.4.
    [Theory]
    [InlineData("", "/any", true)]
    [InlineData("/", "/any", true)]
    [InlineData("/shop", "/shop", true)]
    [InlineData("/shop", "/shop/cart", true)]
    [InlineData("/shop/", "/shop/cart", true)]
    [InlineData("/shop", "/shopping", false)]
    [InlineData("/shop/", "/shop", false)]
    [InlineData("/shop", "/Shop", false)]
    [InlineData("/shop", "/", false)]
    public void CoversPath_Paths_AreComparedByDirectory(string cookie, string path, bool expected) => Assert.Equal(expected, SessionStep.CoversPath(cookie, path));

    [Theory]
    [InlineData("sid=a", "a")]
    [InlineData("x=1; sid=a=b=; y=2", "a=b=")]
    [InlineData("x=1;sid=\"a\"", "a")]
    [InlineData("sid=first; sid=second", "first")]
    [InlineData(" sid = a ", "a")]
    [InlineData("sid=", "")]
    [InlineData("SID=a", null)]
    [InlineData("xsid=a", null)]
    [InlineData("sid", null)]
    [InlineData("=sid", null)]
    [InlineData("", null)]
    public void TryFindCookie_Header_GivesItsValue(string header, string? expected) =>
        Assert.Equal(expected, SessionStep.TryFindCookie(header, "sid", out var value) ? value.ToString() : null);
}
