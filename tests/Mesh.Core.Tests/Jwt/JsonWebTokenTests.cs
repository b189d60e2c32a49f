using System.Security.Cryptography;
using System.Text;
using Mesh.Testing;
using Xunit;

namespace Mesh.Jwt;

/// <summary>Checklist B 28: what is no token, and what no key has signed.</summary>
public sealed class JsonWebTokenTests : IDisposable
{
    private const string Payload = """{"iss":"https://issuer.test","sub":"ada","exp":4102444800}""";
    private readonly TestIssuer _issuer = new();

    public void Dispose() => _issuer.Dispose();

    [Theory]
    [InlineData("RS256")]
    [InlineData("RS384")]
    [InlineData("RS512")]
    [InlineData("PS256")]
    [InlineData("PS384")]
    [InlineData("PS512")]
    [InlineData("ES256")]
    [InlineData("ES384")]
    [InlineData("ES512")]
    public void Check_SignedByTheKey_IsBelieved(string algorithm)
    {
        using var issuer = new TestIssuer(algorithm);
        using var other = new TestIssuer(algorithm);
        var token = issuer.Sign(Payload);

        Assert.Equal(TokenFault.None, Judge(token, TestIssuer.Set(issuer)));
        Assert.Equal(TokenFault.Signature, Judge(token, TestIssuer.Set(other)));
        Assert.Equal("ada", Parse(token).Payload.GetProperty("sub").GetString());
    }

    [Theory]
    [InlineData("""{"alg":"none","kid":"k1"}""", TokenFault.Algorithm)]
    [InlineData("""{"alg":"None"}""", TokenFault.Algorithm)]
    [InlineData("""{"alg":"HS256","kid":"k1"}""", TokenFault.Algorithm)]
    [InlineData("""{"alg":"es256","kid":"k1"}""", TokenFault.Algorithm)]
    [InlineData("""{"alg":"ES256K","kid":"k1"}""", TokenFault.Algorithm)]
    [InlineData("""{"alg":"EdDSA","kid":"k1"}""", TokenFault.Algorithm)]
    [InlineData("""{"kid":"k1"}""", TokenFault.Algorithm)]
    [InlineData("""{"alg":"ES256","kid":"k1","crit":["exp"]}""", TokenFault.Critical)]
    [InlineData("""{"alg":"ES256","kid":"k1","crit":["b64"],"b64":false}""", TokenFault.Critical)]
    [InlineData("""{"alg":"ES256","alg":"ES256","kid":"k1"}""", TokenFault.Malformed)]
    [InlineData("""{"alg":["ES256"],"kid":"k1"}""", TokenFault.Malformed)]
    [InlineData("""{"alg":"ES256","kid":1}""", TokenFault.Malformed)]
    [InlineData("""["ES256"]""", TokenFault.Malformed)]
    [InlineData("""{"alg":"ES256",}""", TokenFault.Malformed)]
    [InlineData("""{"alg":"ES256"} """ + "{}", TokenFault.Malformed)]
    [InlineData("""{"alg":"ES384","kid":"k1"}""", TokenFault.UnknownKey)]
    [InlineData("""{"alg":"RS256","kid":"k1"}""", TokenFault.UnknownKey)]
    [InlineData("""{"alg":"ES256","kid":"k2"}""", TokenFault.UnknownKey)]
    [InlineData("""{"alg":"ES256"}""", TokenFault.None)]
    [InlineData("""{"alg":"ES256","kid":"k1","typ":"at+jwt","x5t":"abc"}""", TokenFault.None)]
    public void Judge_Header_GoesByItsWordsOnly(string header, object expected) => Assert.Equal(expected, (object)Judge(_issuer.Sign(Payload, header)));

    [Theory]
    [InlineData("""{"a":1,"a":2}""")]
    [InlineData("""{"a":{"b":1,"b":2}}""")]
    [InlineData("""{"a":1} x""")]
    [InlineData("""{"a":"\ud800"}""")]
    [InlineData("""{"\udfff":1}""")]
    [InlineData("// no\n{\"a\":1}")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("\"text\"")]
    [InlineData("")]
    public void Judge_PayloadOfNoStrictJson_IsMalformed(string payload) => Assert.Equal(TokenFault.Malformed, Judge(_issuer.Sign(payload)));

    [Fact]
    public void Judge_InvalidUtf8_IsMalformed() =>
        Assert.Equal(TokenFault.Malformed, Judge(_issuer.SignParts(TestIssuer.Encode("""{"alg":"ES256"}"""), TestIssuer.Encode([.. "{\"a\":\""u8, 0xc0, 0xaf, .. "\"}"u8]))));

    [Fact]
    public void Judge_Nested17Deep_IsMalformed()
    {
        static string Nested(int depth) => $$"""{"a":{{new string('[', depth)}}{{new string(']', depth)}}}""";

        Assert.Equal(TokenFault.None, Judge(_issuer.Sign(Nested(15))));
        Assert.Equal(TokenFault.Malformed, Judge(_issuer.Sign(Nested(16))));
    }

    [Fact]
    public void Judge_KeyIdOf257Characters_IsMalformed()
    {
        static string Header(int length) => $$"""{"alg":"ES256","kid":"{{new string('k', length)}}"}""";

        Assert.Equal(TokenFault.UnknownKey, Judge(_issuer.Sign(Payload, Header(256))));
        Assert.Equal(TokenFault.Malformed, Judge(_issuer.Sign(Payload, Header(257))));
    }

    [Fact]
    public void Judge_LongerThan16KiB_IsTooLarge()
    {
        var token = _issuer.Sign($$"""{"a":"{{new string('a', 13_000)}}"}""");
        Assert.Equal(TokenFault.TooLarge, Judge(token));
        Assert.Equal(TokenFault.TooLarge, Judge(new string('.', 1_000_000)));
        Assert.Equal(TokenFault.None, Judge(_issuer.Sign($$"""{"a":"{{new string('a', 12_000)}}"}""")));
    }

    [Fact]
    public void Judge_PublicKeyAsSharedSecret_IsRefused()
    {
        // The confusion of a public key with an HMAC secret (RFC 8725 §2.1).
        using var issuer = new TestIssuer("RS256");
        var signed = $"{TestIssuer.Encode("""{"alg":"HS256","kid":"k1"}""")}.{TestIssuer.Encode(Payload)}";
        var forged = $"{signed}.{TestIssuer.Encode(HMACSHA256.HashData(issuer.PublicKey, Encoding.ASCII.GetBytes(signed)))}";

        Assert.Equal(TokenFault.Algorithm, Judge(forged, TestIssuer.Set(issuer)));
    }

    [Theory]
    [InlineData("jwk")]
    [InlineData("jku")]
    [InlineData("x5u")]
    [InlineData("x5c")]
    public void Judge_KeyInTheTokenItself_IsNotUsed(string member)
    {
        using var forger = new TestIssuer();
        var value = member switch { "jwk" => forger.Key(), "x5c" => $"[\"{Convert.ToBase64String(forger.PublicKey)}\"]", _ => "\"https://forger.test/keys\"" };

        Assert.Equal(TokenFault.Signature, Judge(forger.Sign(Payload, $$"""{"alg":"ES256","kid":"k1","{{member}}":{{value}}}""")));
    }

    [Fact]
    public void Judge_SignatureStripped_IsNotBelieved()
    {
        var token = _issuer.Sign(Payload);
        var unsigned = token[..(token.LastIndexOf('.') + 1)];

        Assert.Equal(TokenFault.Signature, Judge(unsigned));
        Assert.Equal(TokenFault.Malformed, Judge(unsigned[..^1]));
        Assert.Equal(TokenFault.Signature, Judge(unsigned + TestIssuer.Encode(new byte[64])));
    }

    [Theory]
    [InlineData("=")]
    [InlineData(" ")]
    [InlineData("\n")]
    [InlineData(".")]
    [InlineData(".e30")]
    [InlineData("%3D")]
    [InlineData("é")]
    public void Judge_AnythingAfterTheToken_IsMalformed(string tail) => Assert.Equal(TokenFault.Malformed, Judge(_issuer.Sign(Payload) + tail));

    [Fact]
    public void Judge_OtherSpellingOfTheSignature_IsMalformed()
    {
        // 64 bytes are 86 characters; the last has four bits that stand for nothing.
        var token = _issuer.Sign(Payload);
        const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        var other = token[..^1] + Alphabet[Alphabet.IndexOf(token[^1], StringComparison.Ordinal) + 1];

        Assert.Equal(TokenFault.Malformed, Judge(other));
    }

    /// <summary>Fuzz: one to three random changes of genuine tokens. Prints its seed.</summary>
    [Theory]
    [InlineData("ES256", 11)]
    [InlineData("RS256", 12)]
    [InlineData("PS384", 13)]
    public void Judge_ChangedTokens_NeverThrowsAndNeverBelieves(string algorithm, int seed)
    {
        using var issuer = new TestIssuer(algorithm);
        Assert.True(JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(TestIssuer.Set(issuer)), out var keys, out _));
        var random = new Random(seed);
        var genuine = issuer.Sign(Payload);
        const string Characters = "ABCxyz019-_.=+/ \0é\ud800{}\"";
        for (var i = 0; i < 3_000; i++)
        {
            var text = new StringBuilder(genuine);
            for (var changes = random.Next(1, 4); changes > 0; changes--)
            {
                var at = random.Next(text.Length);
                switch (random.Next(4))
                {
                    case 0:
                        text[at] = Characters[random.Next(Characters.Length)];
                        break;
                    case 1:
                        text.Remove(at, Math.Min(random.Next(1, 20), text.Length - at));
                        break;
                    case 2:
                        text.Insert(at, Characters[random.Next(Characters.Length)]);
                        break;
                    default:
                        text.Append(text.ToString(at, Math.Min(random.Next(1, 40), text.Length - at)));
                        break;
                }

                if (text.Length == 0)
                {
                    break;
                }
            }

            var changed = text.ToString();
            if (changed != genuine && JsonWebToken.TryParse(changed, out var token, out _))
            {
                Assert.True(keys.Check(token) != TokenFault.None, $"seed {seed}, {i}: {changed}");
            }
        }
    }

    private TokenFault Judge(string token, string? keys = null)
    {
        Assert.True(JsonWebKeySet.TryParse(Encoding.UTF8.GetBytes(keys ?? TestIssuer.Set(_issuer)), out var set, out var problem), problem);
        return JsonWebToken.TryParse(token, out var parsed, out var fault) ? set.Check(parsed) : fault;
    }

    private static JsonWebToken Parse(string token) => JsonWebToken.TryParse(token, out var parsed, out var fault) ? parsed : throw new Xunit.Sdk.XunitException(fault.ToString());
}
