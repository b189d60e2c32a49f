using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Mesh.Testing;

/// <summary>An OIDC issuer over real HTTP: discovery document, keys, and tokens, right ones and wrong ones.</summary>
internal sealed class FakeOidcIssuer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly List<(string Kid, ECDsa Key)> _keys = [];
    private int _fetches;

    private FakeOidcIssuer(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    /// <summary>How often the keys were asked for.</summary>
    public int Fetches => Volatile.Read(ref _fetches);

    /// <summary>Answers requests for the keys in place of them.</summary>
    public Func<HttpContext, Task>? Instead { get; set; }

    /// <summary>What the discovery document names itself; null: as it is.</summary>
    public string? CallsItself { get; set; }

    public static async Task<FakeOidcIssuer> StartAsync(string kid = "k1")
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var fake = new FakeOidcIssuer(app);
        fake.AddKey(kid);
        app.MapGet("/.well-known/openid-configuration", (HttpContext context) => context.Response.WriteAsync(
            new JsonObject { ["issuer"] = fake.CallsItself ?? fake.Url, ["jwks_uri"] = $"{fake.Url}/jwks" }.ToJsonString()));
        app.MapGet("/jwks", fake.KeysAsync);
        await app.StartAsync();
        return fake;
    }

    public void AddKey(string kid) => _keys.Add((kid, ECDsa.Create(ECCurve.NamedCurves.nistP256)));

    /// <summary>The newest key is the only one.</summary>
    public void DropOldKeys() => _keys.RemoveRange(0, _keys.Count - 1);

    /// <summary>Signs with the newest key.</summary>
    /// <param name="more">Changes header and claims before they are signed.</param>
    public string Token(string subject, string audience, DateTimeOffset now, Action<JsonObject, JsonObject>? more = null)
    {
        var (kid, key) = _keys[^1];
        var (header, claims) = Parts(kid, subject, audience, now, more);
        var text = $"{Encode(header)}.{Encode(claims)}";
        return $"{text}.{Base64Url.EncodeToString(key.SignData(Encoding.ASCII.GetBytes(text), HashAlgorithmName.SHA256))}";
    }

    /// <summary>The classic forgery: the public key, which anybody has, taken as the secret of an HMAC.</summary>
    public string HmacToken(string subject, string audience, DateTimeOffset now)
    {
        var (kid, key) = _keys[^1];
        var (header, claims) = Parts(kid, subject, audience, now, (h, _) => h["alg"] = "HS256");
        var text = $"{Encode(header)}.{Encode(claims)}";
        return $"{text}.{Base64Url.EncodeToString(HMACSHA256.HashData(key.ExportSubjectPublicKeyInfo(), Encoding.ASCII.GetBytes(text)))}";
    }

    public string Jwks() => new JsonObject
    {
        ["keys"] = new JsonArray([.. _keys.Select(k =>
        {
            var parameters = k.Key.ExportParameters(includePrivateParameters: false);
            return (JsonNode)new JsonObject
            {
                ["kty"] = "EC",
                ["crv"] = "P-256",
                ["kid"] = k.Kid,
                ["use"] = "sig",
                ["x"] = Base64Url.EncodeToString(parameters.Q.X),
                ["y"] = Base64Url.EncodeToString(parameters.Q.Y),
            };
        })]),
    }.ToJsonString();

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        foreach (var (_, key) in _keys)
        {
            key.Dispose();
        }
    }

    private static string Encode(JsonObject part) => Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(part));

    private (JsonObject Header, JsonObject Claims) Parts(string kid, string subject, string audience, DateTimeOffset now, Action<JsonObject, JsonObject>? more)
    {
        var header = new JsonObject { ["alg"] = "ES256", ["typ"] = "JWT", ["kid"] = kid };
        var claims = new JsonObject
        {
            ["iss"] = Url,
            ["sub"] = subject,
            ["aud"] = audience,
            ["nbf"] = now.ToUnixTimeSeconds(),
            ["exp"] = now.AddMinutes(10).ToUnixTimeSeconds(),
        };
        more?.Invoke(header, claims);
        return (header, claims);
    }

    private Task KeysAsync(HttpContext context)
    {
        Interlocked.Increment(ref _fetches);
        return Instead is { } instead ? instead(context) : context.Response.WriteAsync(Jwks());
    }
}
