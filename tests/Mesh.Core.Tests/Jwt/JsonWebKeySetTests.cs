using System.Text;
using Mesh.Testing;
using Xunit;

namespace Mesh.Jwt;

public sealed class JsonWebKeySetTests
{
    [Theory]
    [InlineData("", "is no JSON object with an array 'keys'")]
    [InlineData("<html>", "is no JSON object with an array 'keys'")]
    [InlineData("[]", "is no JSON object with an array 'keys'")]
    [InlineData("{}", "is no JSON object with an array 'keys'")]
    [InlineData("""{"keys":{}}""", "is no JSON object with an array 'keys'")]
    [InlineData("""{"keys":[],"keys":[]}""", "is no JSON object with an array 'keys'")]
    [InlineData("""{"keys":[]}""", "has no key that can be used, of 0")]
    [InlineData("""{"keys":[1,null,"x",{}]}""", "has no key that can be used, of 4")]
    [InlineData("""{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}""", "has no key that can be used, of 1")]
    [InlineData("""{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}""", "has no key that can be used, of 1")]
    [InlineData("""{"keys":[{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}]}""", "has no key that can be used, of 1")]
    public void TryParse_NothingToVerifyWith_SaysWhy(string json, string problem)
    {
        Assert.False(JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(json), out _, out var told));
        Assert.StartsWith(problem, told, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"use\":\"enc\",", false)]
    [InlineData("\"use\":\"sig\",", true)]
    [InlineData("\"key_ops\":[\"encrypt\"],", false)]
    [InlineData("\"key_ops\":[\"sign\",\"verify\"],", true)]
    [InlineData("\"alg\":\"ES256\",", true)]
    [InlineData("\"unknown\":[1,2],", true)]
    public void TryParse_KeyForOtherUse_IsLeftOut(string members, bool usable)
    {
        using var issuer = new TestIssuer();
        Assert.Equal(usable, JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(TestIssuer.Set([issuer.Key(members)])), out _, out _));
    }

    [Fact]
    public void Check_KeyForAnotherAlgorithm_DoesNotFit()
    {
        using var issuer = new TestIssuer("RS256");
        Assert.True(JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(TestIssuer.Set([issuer.Key("\"alg\":\"PS256\",")])), out var set, out _));
        Assert.True(JsonWebToken.TryParse(issuer.Sign("{}"), out var token, out _));
        Assert.Equal(TokenFault.UnknownKey, set.Check(token));
    }

    [Fact]
    public void TryParse_WeakRsa_IsLeftOut()
    {
        using var weak = new TestIssuer("RS256", rsaBits: 1024);
        Assert.False(JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(TestIssuer.Set(weak)), out _, out _));
        using var strong = new TestIssuer("RS256");
        Assert.False(JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(TestIssuer.Set([strong.Key().Replace("\"AQAB\"", "\"AQ\"", StringComparison.Ordinal)])), out _, out _));
        Assert.True(JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(TestIssuer.Set(weak, strong)), out var set, out _));
        Assert.Single(set.Keys);
    }

    [Fact]
    public void TryParse_TooManyOrTooMuch_IsRefused()
    {
        using var issuer = new TestIssuer();
        Assert.True(JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(TestIssuer.Set(Enumerable.Repeat(issuer.Key(), 64))), out _, out _));
        Assert.False(JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(TestIssuer.Set(Enumerable.Repeat(issuer.Key(), 65))), out _, out var problem));
        Assert.Equal("has 65 keys, more than 64", problem);
        Assert.False(JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(TestIssuer.Set(issuer) + new string(' ', JsonWebKeySet.MaxBytes)), out _, out _));
    }
}
