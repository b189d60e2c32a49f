using System.Text;
using System.Text.Json;
using Xunit;

namespace Mesh.Jwt;

public sealed class TokenClaimsTests
{
    private static readonly DateTimeOffset _now = DateTimeOffset.FromUnixTimeSeconds(1_000_000);

    [Theory]
    [InlineData("\"exp\":1000061", TokenFault.None)]
    [InlineData("\"exp\":999941", TokenFault.None)]
    [InlineData("\"exp\":999940", TokenFault.Expired)]
    [InlineData("\"exp\":999940.5", TokenFault.None)]
    [InlineData("\"exp\":1e6", TokenFault.None)]
    [InlineData("\"sub\":\"x\"", TokenFault.Malformed)]
    [InlineData("\"exp\":\"1000061\"", TokenFault.Malformed)]
    [InlineData("\"exp\":null", TokenFault.Malformed)]
    [InlineData("\"exp\":-1", TokenFault.Malformed)]
    [InlineData("\"exp\":1e400", TokenFault.Malformed)]
    [InlineData("\"exp\":253402300799", TokenFault.None)]
    [InlineData("\"exp\":253402300800", TokenFault.Malformed)]
    [InlineData("\"exp\":1000100,\"nbf\":1000060", TokenFault.None)]
    [InlineData("\"exp\":1000100,\"nbf\":1000061", TokenFault.NotYetValid)]
    [InlineData("\"exp\":1000100,\"nbf\":true", TokenFault.Malformed)]
    [InlineData("\"exp\":1000100,\"iat\":1000060", TokenFault.None)]
    [InlineData("\"exp\":1000100,\"iat\":1000061", TokenFault.NotYetValid)]
    public void CheckTime_WithAMinuteOfSkew_Judges(string members, object expected) =>
        Assert.Equal(expected, (object)TokenClaims.CheckTime(Json($"{{{members}}}"), _now, TimeSpan.FromSeconds(60), out _));

    [Theory]
    [InlineData("{}", false)]
    [InlineData("""{"aud":"shop"}""", true)]
    [InlineData("""{"aud":"Shop"}""", false)]
    [InlineData("""{"aud":"shop2"}""", false)]
    [InlineData("""{"aud":["x","mall"]}""", true)]
    [InlineData("""{"aud":[["shop"],{"shop":1},1]}""", false)]
    [InlineData("""{"aud":[]}""", false)]
    [InlineData("""{"aud":"shop,mall"}""", false)]
    public void IsFor_AnyOfTheAudiences(string payload, bool expected) => Assert.Equal(expected, TokenClaims.IsFor(Json(payload), ["shop", "mall"]));

    [Theory]
    [InlineData("""{"iss":"https://issuer.test"}""", true)]
    [InlineData("""{"iss":"https://issuer.test/"}""", false)]
    [InlineData("""{"iss":["https://issuer.test"]}""", false)]
    [InlineData("{}", false)]
    public void IsFrom_TheIssuerToTheLetter(string payload, bool expected) => Assert.Equal(expected, TokenClaims.IsFrom(Json(payload), "https://issuer.test"));

    private static JsonElement Json(string text) => StrictJson.TryParseObject(Encoding.UTF8.GetBytes(text), out var value) ? value : throw new Xunit.Sdk.XunitException(text);
}
