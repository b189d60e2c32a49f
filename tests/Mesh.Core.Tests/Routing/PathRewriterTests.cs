using System.Text.RegularExpressions;
using Mesh.Config;
using Mesh.Traffic;
using Xunit;

namespace Mesh.Routing;

public sealed class PathRewriterTests
{
    [Theory]
    [InlineData("/foo", "/xyz", "/foo/bar", "/xyz/bar")]
    [InlineData("/foo", "/xyz", "/foo", "/xyz")]
    [InlineData("/foo", "/", "/foo", "/")]
    [InlineData("/", "/xyz/", "/bar", "/xyz/bar")]
    public void Prefix_WhatThePrefixTook_IsReplaced(string prefix, string replacement, string path, string expected)
    {
        var match = new RouteMatch(prefix == "/" ? null : new StringMatcher(StringMatchKind.PathPrefix, prefix), [], null);
        Assert.Equal(expected, PathRewriter.Rewrite(new PathRewrite.Prefix(replacement), match, path));
    }

    [Fact]
    public void Prefix_OfAnotherCondition_ReplacesAll() =>
        Assert.Equal("/new", PathRewriter.Rewrite(new PathRewrite.Prefix("/new"), new RouteMatch(new StringMatcher(StringMatchKind.Regex, "/a.*"), [], null), "/abc"));

    [Fact]
    public void Others_AreMadeOfThePath()
    {
        var any = new RouteMatch(null, [], null);
        Assert.Equal("/whole", PathRewriter.Rewrite(new PathRewrite.Full("/whole"), any, "/x/y"));
        Assert.Equal("/", PathRewriter.Rewrite(new PathRewrite.Full(""), any, "/x/y"));
        Assert.Equal("/b/b", PathRewriter.Rewrite(new PathRewrite.Pattern(new TextRewrite(new Regex("a"), "b")), any, "/a/a"));
        Assert.Equal("/gone", PathRewriter.Rewrite(new PathRewrite.Pattern(new TextRewrite(new Regex("^/a/"), "")), any, "/a/gone"));
        var template = any with { Path = null, Template = PathTemplate.Parse("/u/{id}/{rest=**}") };
        Assert.Equal("/v2/7-7/tail/a/b.json", PathRewriter.Rewrite(new PathRewrite.Template("/v2/{id}-{id}/tail/{rest}.json"), template, "/u/7/a/b"));
    }
}
