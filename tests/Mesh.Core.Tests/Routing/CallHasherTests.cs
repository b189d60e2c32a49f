using System.Numerics;
using System.Text.RegularExpressions;
using Mesh.Config;
using Mesh.Traffic;
using Xunit;

namespace Mesh.Routing;

[Trait("gRFC", "A42")]
public sealed class CallHasherTests
{
    private const ulong Channel = 0x1234_5678_9ABC_DEF0;

    // The vectors published with xxHash, seed 0.
    [Theory]
    [InlineData("", 0xEF46DB3751D8E999)]
    [InlineData("a", 0xD24EC4F1A98C6E5B)]
    [InlineData("abc", 0x44BC2CF5AD770999)]
    [InlineData("Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1)]
    public void Hash_Header_IsXxh64(string value, ulong expected) => Assert.Equal(expected, Hash(new() { ["user"] = value }, new HashPolicy("user", false)));

    [Fact]
    public void Hash_LongValue_IsWhole() => Assert.NotEqual(CallHasher.OfText(new string('x', 5_000)), CallHasher.OfText(new string('x', 5_001)));

    [Fact]
    public void Hash_NothingToHash_IsNull()
    {
        Assert.Null(Hash([], new HashPolicy("user", false)));
        Assert.Null(Hash(new() { ["user-bin"] = "x" }, new HashPolicy("user-bin", false)));
        Assert.Null(Hash([]));
    }

    [Fact]
    public void Hash_SeveralPolicies_RotatesAndCombinesInOrder()
    {
        var (a, b) = (CallHasher.OfText("1"), CallHasher.OfText("2"));
        Dictionary<string, string> headers = new() { ["a"] = "1", ["b"] = "2" };
        Assert.Equal(BitOperations.RotateLeft(a, 1) ^ b, Hash(headers, new HashPolicy("a", false), new HashPolicy("missing", false), new HashPolicy("b", false)));
        Assert.Equal(BitOperations.RotateLeft(b, 1) ^ Channel, Hash(headers, new HashPolicy("b", false), new HashPolicy(null, false)));
    }

    [Fact]
    public void Hash_Terminal_StopsOnlyWhenThereIsAHash()
    {
        Dictionary<string, string> headers = new() { ["a"] = "1", ["b"] = "2" };
        Assert.Equal(CallHasher.OfText("1"), Hash(headers, new HashPolicy("a", true), new HashPolicy("b", false)));
        Assert.Equal(CallHasher.OfText("2"), Hash(headers, new HashPolicy("missing", true), new HashPolicy("b", false)));
    }

    [Fact]
    public void Hash_Rewrite_ReplacesEveryMatch()
    {
        var policy = new HashPolicy("user", false) { Rewrite = new TextRewrite(new Regex("[0-9]+", RegexOptions.NonBacktracking), "#") };
        Assert.Equal(CallHasher.OfText("a#b#"), Hash(new() { ["user"] = "a12b3" }, policy));
    }

    private static ulong? Hash(Dictionary<string, string> headers, params HashPolicy[] policies) => new CallHasher(policies).Hash(new Head(headers), Channel);

    private sealed class Head(Dictionary<string, string> headers) : RequestHead
    {
        public override string Method => "GET";

        public override string Authority => "a";

        public override string Path => "/";

        public override string Query => "";

        public override string? Header(string name) => headers.GetValueOrDefault(name);
    }
}
