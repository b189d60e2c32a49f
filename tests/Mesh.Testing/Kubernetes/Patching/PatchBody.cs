using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Patching;

/// <summary>A PATCH, by its content type.</summary>
internal static class PatchBody
{
    /// <returns>The change, and whether it makes what is missing.</returns>
    public static (Func<JsonObject?, JsonObject> Change, bool Create) Read(ApiRequest request, string body)
    {
        switch (Answer.ContentType(request.Http))
        {
            case "application/json-patch+json":
                var operations = JsonNode.Parse(body) as JsonArray ?? throw StatusException.BadRequest("error decoding patch: not a list of operations");
                return (old => JsonPatch.Apply(old, operations) as JsonObject ?? throw StatusException.BadRequest("a patch left no object"), false);
            case "application/merge-patch+json":
                var merge = JsonNode.Parse(body) as JsonObject ?? throw StatusException.BadRequest("error decoding patch: not an object");
                return (old => (JsonObject)MergePatch.Apply(old, merge)!, false);
            default:
                throw new StatusException(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, application/strategic-merge-patch+json");
        }
    }
}
