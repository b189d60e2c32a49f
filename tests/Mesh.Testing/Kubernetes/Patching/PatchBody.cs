using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Ownership;

namespace Mesh.Testing.Kubernetes.Patching;

/// <summary>A PATCH, by its content type.</summary>
internal static class PatchBody
{
    public const string ApplyType = "application/apply-patch+yaml";

    /// <returns>The change, and whether it makes what is missing.</returns>
    public static (Func<JsonObject?, JsonObject> Change, bool Create) Read(ApiRequest request, KubeResource resource, string body, string now)
    {
        var type = Answer.ContentType(request.Http);
        if (type != ApplyType && request.Flag("force"))
        {
            throw Invalid(resource, FieldError.Forbidden("force", "may not be specified for non-apply patch"));
        }

        switch (type)
        {
            case "application/json-patch+json":
                var operations = JsonNode.Parse(body) as JsonArray ?? throw StatusException.BadRequest("error decoding patch: not a list of operations");
                return (old => JsonPatch.Apply(old, operations) as JsonObject ?? throw StatusException.BadRequest("a patch left no object"), false);
            case "application/merge-patch+json":
                var merge = ObjectOf(body);
                return (old => (JsonObject)MergePatch.Apply(old, merge)!, false);
            case "application/strategic-merge-patch+json" when !resource.IsCustom:
                var strategic = ObjectOf(body);
                return (old => StrategicMerge.Apply(old!, strategic, MergeShape.Of(resource, request.Version)), false);
            case ApplyType:
                return (Applied(request, resource, body, now), true);
            default:
                var accepted = resource.IsCustom ? "" : ", application/strategic-merge-patch+json";
                throw new StatusException(415, "UnsupportedMediaType", $"the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, {ApplyType}{accepted}");
        }
    }

    private static Func<JsonObject?, JsonObject> Applied(ApiRequest request, KubeResource resource, string body, string now)
    {
        if (request["fieldManager"] == "")
        {
            throw Invalid(resource, FieldError.Required("fieldManager", "is required for apply patch"));
        }

        var wanted = KubeYaml.Documents(body).FirstOrDefault() ?? throw StatusException.BadRequest("error decoding YAML: no object");
        if (wanted.At("metadata", "managedFields") is JsonArray { Count: > 0 })
        {
            throw StatusException.BadRequest("metadata.managedFields must be nil");
        }

        var (version, kind) = (wanted.Text("apiVersion"), wanted.Text("kind"));
        if (version != resource.ApiVersion(request.Version) || kind != resource.Kind)
        {
            throw StatusException.BadRequest($"the API version or kind in the data ({version}, {kind}) does not match the expected ({resource.ApiVersion(request.Version)}, {resource.Kind})");
        }

        wanted.Meta().Default("name", request.Name);
        if (resource.Namespaced)
        {
            wanted.Meta().Default("namespace", request.Namespace);
        }

        if (wanted.Name() != request.Name)
        {
            throw StatusException.BadRequest($"the name of the object ({wanted.Name()}) does not match the name on the URL ({request.Name})");
        }

        return old =>
        {
            if (old is null && request.Subresource != "")
            {
                throw StatusException.NotFound(resource, request.Name);
            }

            return ServerSideApply.Apply(request, resource, old, wanted, now);
        };
    }

    private static JsonObject ObjectOf(string body) => JsonNode.Parse(body) as JsonObject ?? throw StatusException.BadRequest("error decoding patch: not an object");

    private static StatusException Invalid(KubeResource resource, FieldError error) =>
        StatusException.Invalid(resource with { Group = "meta.k8s.io", Kind = "PatchOptions" }, "", [error]);
}
