using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Storage;

namespace Mesh.Testing.Kubernetes.Rbac;

/// <summary>Tokens as projected into pods: signed here, bound to a service account and perhaps a pod, good for an audience and a time.</summary>
internal sealed class ServiceAccountTokens(FakeKubeApiOptions options, ObjectStore store) : IDisposable
{
    /// <summary>Of the API server itself, and of tokens that name no other.</summary>
    public const string ApiAudience = "https://kubernetes.default.svc.cluster.local";

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public string Issue(string ns, string account, string? pod, IReadOnlyCollection<string> audiences, TimeSpan life)
    {
        var owner = store.Find("/serviceaccounts", ns, account) ?? throw new InvalidOperationException($"There is no ServiceAccount {ns}/{account}.");
        var now = options.Time.GetUtcNow();
        var kubernetes = new JsonObject
        {
            ["namespace"] = ns,
            ["serviceaccount"] = new JsonObject { ["name"] = account, ["uid"] = owner.Json.Text("metadata", "uid") },
        };
        if (pod is not null)
        {
            var bound = store.Find("/pods", ns, pod) ?? throw new InvalidOperationException($"There is no Pod {ns}/{pod}.");
            kubernetes["pod"] = new JsonObject { ["name"] = pod, ["uid"] = bound.Json.Text("metadata", "uid") };
            if (bound.Json.Text("spec", "nodeName") is { Length: > 0 } node)
            {
                kubernetes["node"] = new JsonObject { ["name"] = node };
            }
        }

        var claims = new JsonObject
        {
            ["aud"] = new JsonArray([.. audiences.Select(a => (JsonNode)a)]),
            ["exp"] = (now + life).ToUnixTimeSeconds(),
            ["iat"] = now.ToUnixTimeSeconds(),
            ["iss"] = ApiAudience,
            ["jti"] = Guid.NewGuid().ToString(),
            ["kubernetes.io"] = kubernetes,
            ["nbf"] = now.ToUnixTimeSeconds(),
            ["sub"] = $"system:serviceaccount:{ns}:{account}",
        };
        var signed = $"{Encode("""{"alg":"ES256","kid":"fake"}"""u8)}.{Encode(Encoding.UTF8.GetBytes(claims.ToJsonString()))}";
        return $"{signed}.{Encode(_key.SignData(Encoding.UTF8.GetBytes(signed), HashAlgorithmName.SHA256))}";
    }

    /// <returns>Who it is and which of the wanted audiences the token is for; or why it is not good.</returns>
    public (ApiUser? User, IReadOnlyList<string> Audiences, string Error) Check(string token, IReadOnlyCollection<string> audiences)
    {
        if (Claims(token) is not { } claims)
        {
            return (null, [], "invalid bearer token");
        }

        var shared = claims.Texts("aud").Intersect(audiences).ToList();
        if (shared.Count == 0)
        {
            return (null, [], $"[invalid bearer token, token audiences [\"{string.Join("\" \"", claims.Texts("aud"))}\"] is invalid for the target audiences [\"{string.Join("\" \"", audiences)}\"]]");
        }

        if (options.Time.GetUtcNow().ToUnixTimeSeconds() >= (long)claims["exp"]!)
        {
            return (null, [], "[invalid bearer token, service account token has expired]");
        }

        var bound = claims["kubernetes.io"];
        var (ns, account) = (bound.Text("namespace"), bound.Text("serviceaccount", "name"));
        if (!IsThere("/serviceaccounts", ns, bound.At("serviceaccount")))
        {
            return (null, [], "[invalid bearer token, service account token has been invalidated]");
        }

        var extra = new Dictionary<string, string[]> { ["authentication.kubernetes.io/credential-id"] = [$"JTI={claims.Text("jti")}"] };
        if (bound.At("pod") is { } pod)
        {
            if (!IsThere("/pods", ns, pod))
            {
                return (null, [], "[invalid bearer token, service account token has been invalidated]");
            }

            extra["authentication.kubernetes.io/pod-name"] = [pod.Text("name")];
            extra["authentication.kubernetes.io/pod-uid"] = [pod.Text("uid")];
            if (bound.Text("node", "name") is { Length: > 0 } node)
            {
                extra["authentication.kubernetes.io/node-name"] = [node];
            }
        }

        return (AccountUser(ns, account) with { Uid = bound.Text("serviceaccount", "uid"), Extra = extra }, shared, "");
    }

    public static ApiUser AccountUser(string ns, string account) =>
        new($"system:serviceaccount:{ns}:{account}", ["system:serviceaccounts", $"system:serviceaccounts:{ns}", "system:authenticated"]);

    public void Dispose() => _key.Dispose();

    private bool IsThere(string table, string ns, JsonNode? reference) =>
        store.Find(table, ns, reference.Text("name")) is { } found && found.Json.Text("metadata", "uid") == reference.Text("uid") && found.Json.At("metadata", "deletionTimestamp") is null;

    private JsonObject? Claims(string token)
    {
        if (token.Split('.') is not [var header, var body, var signature])
        {
            return null;
        }

        try
        {
            return _key.VerifyData(Encoding.UTF8.GetBytes($"{header}.{body}"), Decode(signature), HashAlgorithmName.SHA256)
                ? JsonNode.Parse(Decode(body))!.AsObject()
                : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private static string Encode(ReadOnlySpan<byte> bytes) => System.Buffers.Text.Base64Url.EncodeToString(bytes);

    private static byte[] Decode(string text) => System.Buffers.Text.Base64Url.DecodeFromChars(text);
}
