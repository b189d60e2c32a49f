using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Rbac;

/// <summary>Objects that are questions: answered in their status and never stored. And the tokens that a service account is given.</summary>
internal sealed class Reviews(FakeKubeApiOptions options, ServiceAccountTokens tokens, Authorizer authorizer, Func<string, ApiUser?> staticToken)
{
    public JsonObject? Answer(ApiRequest request, KubeResource resource, JsonObject body)
    {
        JsonObject? status = resource.Kind switch
        {
            "TokenReview" => Token(body),
            "SubjectAccessReview" or "LocalSubjectAccessReview" => Access(Asked(body), body),
            "SelfSubjectAccessReview" => Access(request.User, body),
            "SelfSubjectReview" => new JsonObject { ["userInfo"] = User(request.User) },
            _ => null,
        };
        if (status is not null)
        {
            body.Meta().Default("creationTimestamp", null);
            body["status"] = status;
            return body;
        }

        return null;
    }

    /// <summary>POST …/serviceaccounts/x/token.</summary>
    public JsonObject IssueToken(ApiRequest request, JsonObject body)
    {
        var audiences = body.Texts("spec", "audiences").ToList();
        var seconds = body.At("spec", "expirationSeconds").Long() ?? 3600;
        if (seconds < 600)
        {
            throw StatusException.Invalid(new KubeResource("authentication.k8s.io", "tokenrequests", "TokenRequest", true), request.Name, [FieldError.Invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")]);
        }

        var pod = body.Text("spec", "boundObjectRef", "kind") == "Pod" ? body.Text("spec", "boundObjectRef", "name") : null;
        var spec = body.Map("spec");
        spec["expirationSeconds"] = seconds;
        spec["audiences"] = new JsonArray([.. (audiences.Count > 0 ? audiences : [ServiceAccountTokens.ApiAudience]).Select(a => (JsonNode)a)]);
        body["status"] = new JsonObject
        {
            ["token"] = tokens.Issue(request.Namespace, request.Name, pod, [.. spec.Texts("audiences")], TimeSpan.FromSeconds(seconds)),
            ["expirationTimestamp"] = KubeJson.Time(options.Time.GetUtcNow().AddSeconds(seconds)),
        };
        return body;
    }

    public static JsonObject User(ApiUser user)
    {
        var json = new JsonObject { ["username"] = user.Name };
        if (user.Uid != "")
        {
            json["uid"] = user.Uid;
        }

        json["groups"] = new JsonArray([.. user.Groups.Select(g => (JsonNode)g)]);
        if (user.Extra.Count > 0)
        {
            json["extra"] = new JsonObject(user.Extra.Select(p => KeyValuePair.Create(p.Key, (JsonNode?)new JsonArray([.. p.Value.Select(v => (JsonNode)v)]))));
        }

        return json;
    }

    private JsonObject Token(JsonObject review)
    {
        var token = review.Text("spec", "token");
        var asked = review.Texts("spec", "audiences").ToList();
        IReadOnlyList<string> audiences = asked.Count > 0 ? asked : [ServiceAccountTokens.ApiAudience];
        var (user, good, error) = staticToken(token) is { } known && asked.Count == 0
            ? (known, audiences, "")
            : tokens.Check(token, audiences);
        return user is null
            ? new JsonObject { ["user"] = new JsonObject(), ["error"] = error }
            : new JsonObject { ["authenticated"] = true, ["user"] = User(user), ["audiences"] = new JsonArray([.. good.Select(a => (JsonNode)a)]) };
    }

    private JsonObject Access(ApiUser user, JsonObject review)
    {
        var access = review.At("spec", "resourceAttributes") is { } wanted
            ? new Access(wanted.Text("verb"), wanted.Text("group"), wanted.Text("resource") + (wanted.Text("subresource") is { Length: > 0 } sub ? "/" + sub : ""), wanted.Text("namespace"), wanted.Text("name"))
            : new Access(review.Text("spec", "nonResourceAttributes", "verb"), "", "", "", "", review.Text("spec", "nonResourceAttributes", "path"));
        var reason = authorizer.Allows(user, access);
        return reason is null ? new JsonObject { ["allowed"] = false } : new JsonObject { ["allowed"] = true, ["reason"] = reason };
    }

    private static ApiUser Asked(JsonObject review) => new(review.Text("spec", "user"), [.. review.Texts("spec", "groups")]);
}
