using System.Collections.Immutable;
using Mesh.ControlPlane.Model.Policies;
using Xunit;

namespace Mesh.ControlPlane.Tests.Model;

public sealed class RuleCoverTests
{
    [Theory]
    [InlineData("/a", "/a", true)]
    [InlineData("/a/*", "/a/b", true)]
    [InlineData("/a/*", "/a/b/c", true)]
    [InlineData("/a/*", "/a/b/*", true)]
    [InlineData("/a/*", "/a", false)]
    [InlineData("/a/*", "/a/", false)]
    [InlineData("/a/*/c", "/a/b/c", true)]
    [InlineData("/a/*/c", "/a/b/d", false)]
    [InlineData("/a/*/c", "/a/b/c/d", false)]
    [InlineData("/a/b", "/a/*", false)]
    [InlineData("/a/*/c", "/a/*", false)]
    [InlineData("/*", "/", true)]
    public void Path_Covers(string wide, string narrow, bool covers) =>
        Assert.Equal(covers, RuleCover.Covers(To(new RequestMatch { Paths = [wide] }), To(new RequestMatch { Paths = [narrow] })));

    [Theory]
    [InlineData("spiffe://d/ns/*/sa/a", "spiffe://d/ns/shop/sa/a", true)]
    [InlineData("spiffe://d/**", "spiffe://d/ns/shop/sa/a", true)]
    [InlineData("spiffe://d/ns/**", "spiffe://d/ns/*/sa/*", true)]
    [InlineData("spiffe://d/ns/*/sa/a", "spiffe://d/ns/**", false)]
    [InlineData("spiffe://d/ns/shop/sa/a", "spiffe://d/ns/*/sa/a", false)]
    [InlineData("spiffe://d/ns/*", "spiffe://d/ns/shop/sa/a", false)]
    public void Identity_Covers(string wide, string narrow, bool covers) =>
        Assert.Equal(covers, RuleCover.Covers(From(new CallerMatch { Identities = [wide] }), From(new CallerMatch { Identities = [narrow] })));

    [Fact]
    public void Missing_IsEverything_AndFieldsAllHold()
    {
        var all = From();
        var get = To(new RequestMatch { Methods = ["GET"] });
        var getA = To(new RequestMatch { Methods = ["GET"], Paths = ["/a"] });

        Assert.True(RuleCover.Covers(all, get));
        Assert.False(RuleCover.Covers(get, all));
        Assert.True(RuleCover.Covers(get, getA));
        Assert.False(RuleCover.Covers(getA, get));
    }

    private static AuthorizationRule From(params ImmutableArray<CallerMatch> from) => new("r", RuleAction.Allow, from, [], "in.yaml:1");

    private static AuthorizationRule To(params ImmutableArray<RequestMatch> to) => new("r", RuleAction.Allow, [], to, "in.yaml:1");
}
