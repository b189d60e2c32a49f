using Xunit;

namespace Mesh.Traffic;

/// <summary>Checklist B 16 and 17: the one reading of paths and hosts, or none.</summary>
public sealed class CanonicalTests
{
    [Theory]
    [InlineData("/", "/", "/")]
    [InlineData("/a/b", "/a/b", "/a/b")]
    [InlineData("/a/b/", "/a/b/", "/a/b/")]
    [InlineData("/a;x=1/b", "/a;x=1/b", "/a;x=1/b")]
    [InlineData("/a b.", "/a%20b.", "/a b.")]
    [InlineData("/100%", "/100%25", "/100%")]
    [InlineData("/c#", "/c%23", "/c#")]
    [InlineData("/é", "/%C3%A9", "/é")]
    [InlineData("", "*", "")]
    [InlineData("", "x:443", "")]
    [InlineData("/a/...", "/a/...", "/a/...")]
    [InlineData("/.well-known/x", "/.well-known/x", "/.well-known/x")]
    [InlineData("//a", "//a", "/a")]
    [InlineData("/a//b///c//", "/a//b///c//", "/a/b/c/")]
    [InlineData("/a%2fb", "/a%2fb", null)]
    [InlineData("/a%2fb", "/a%252fb", null)]
    [InlineData("/%61", "/%2561", null)]
    [InlineData("/%C0%AF", "/%C0%AF", null)]
    [InlineData("/a\\b", "/a%5cb", null)]
    [InlineData("/a\u0001", "/a%01", null)]
    [InlineData("/a\u007f", "/a%7f", null)]
    [InlineData("/a#b", "/a#b", null)]
    [InlineData("/a", "/a?x#b", null)]
    [InlineData("/../a", "http://h/%2e%2e%2fa", null)]
    [InlineData("/a/..", "http://h/a", null)]
    [InlineData("/..;/a", "/..;/a", null)]
    [InlineData("/a/.;x", "/a/.;x", null)]
    [InlineData("/a/b", "http://h/a%2Fb", null)]
    [InlineData("/a/b", "http://h/a\\b", null)]
    [InlineData("/a/b", "http://h/a/b?c=%2f", "/a/b")]
    public void Path_HasOneReadingOrNone(string path, string target, string? canonical)
    {
        Assert.Equal(canonical, CanonicalPath.Normalize(path, target));
        Assert.Equal(canonical != path, CanonicalPath.IsAmbiguous(path, target));
    }

    [Theory]
    [InlineData("", "", "")]
    [InlineData("a.example.com", "a.example.com", "a.example.com")]
    [InlineData("A.Example.COM", "a.example.com", "a.example.com")]
    [InlineData("a.example.com.", "a.example.com", "a.example.com")]
    [InlineData("A.example.com.:8080", "a.example.com:8080", "a.example.com")]
    [InlineData("xn--bcher-kva.de", "xn--bcher-kva.de", "xn--bcher-kva.de")]
    [InlineData("a_b", "a_b", "a_b")]
    [InlineData("127.0.0.1:80", "127.0.0.1:80", "127.0.0.1")]
    [InlineData("[::1]", "[::1]", "[::1]")]
    [InlineData("[2001:DB8:0:0::1]:80", "[2001:db8::1]:80", "[2001:db8::1]")]
    public void Host_Valid_HasOneForm(string given, string value, string name) =>
        Assert.Equal((value, name, true), (CanonicalHost.Of(given).Value, CanonicalHost.Of(given).Name, CanonicalHost.Of(given).IsValid));

    [Theory]
    [InlineData("user@a.example.com")]
    [InlineData("[fe80::1%25eth0]")]
    [InlineData("[fe80::1%eth0]:80")]
    [InlineData("[127.0.0.1]")]
    [InlineData("[::1")]
    [InlineData("[::1]x")]
    [InlineData("bücher.de")]
    [InlineData("a%2ecom")]
    [InlineData("a..b")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData(".a")]
    [InlineData("127.1")]
    [InlineData("2130706433")]
    [InlineData("127.0.0.01")]
    [InlineData("a:")]
    [InlineData("a:0")]
    [InlineData("a:080")]
    [InlineData("a:99999")]
    [InlineData("a:1:2")]
    [InlineData("a b")]
    [InlineData("a,b")]
    public void Host_NotValid_IsSaidSo(string given) => Assert.False(CanonicalHost.Of(given).IsValid);

    /// <summary>Whatever comes: no exception, and what is valid is its own canonical form.</summary>
    [Fact]
    public void PathAndHost_Anything_AreStable()
    {
        const string Characters = "/.;%2f\\ABab:@[]1\0 é#?-_";
        var random = new Random(4);
        for (var i = 0; i < 20_000; i++)
        {
            var text = string.Create(random.Next(12), random, static (span, r) =>
            {
                foreach (ref var c in span)
                {
                    c = Characters[r.Next(Characters.Length)];
                }
            });
            if (CanonicalHost.Of(text) is { IsValid: true } host)
            {
                Assert.Equal((host.Value, host.Name), (CanonicalHost.Of(host.Value).Value, CanonicalHost.Of(host.Name).Name));
            }

            if (CanonicalPath.Normalize(text, "/") is { } path)
            {
                Assert.Equal(path, CanonicalPath.Normalize(path, "/"));
                Assert.False(CanonicalPath.IsAmbiguous(path, "/"));
            }
        }
    }
}
