using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Mesh.Testing.Kubernetes.Storage;

/// <summary>The part of every object that the server itself writes.</summary>
internal static partial class ObjectMetadata
{
    private const string Alphabet = "bcdfghjklmnpqrstvwxz2456789";

    private static readonly string[] Kept = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"];

    public static void ForNew(KubeResource resource, JsonObject json, DateTimeOffset now)
    {
        var metadata = json.Meta();
        if (json.Name() == "" && metadata.Text("generateName") is { Length: > 0 } stem)
        {
            metadata["name"] = stem + new string(System.Security.Cryptography.RandomNumberGenerator.GetItems<char>(Alphabet, 5));
        }

        var name = json.Name();
        if (name == "")
        {
            throw StatusException.Invalid(resource, "", [FieldError.Required("metadata.name", "name or generateName is required")]);
        }

        if (!IsName(resource, name))
        {
            throw StatusException.Invalid(resource, name, [FieldError.Invalid("metadata.name", name, "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')")]);
        }

        foreach (var field in Kept)
        {
            metadata.Remove(field);
        }

        metadata["uid"] = Guid.NewGuid().ToString();
        metadata["creationTimestamp"] = KubeJson.Time(now);
        if (resource.HasGeneration)
        {
            metadata["generation"] = 1L;
        }
    }

    public static void ForChanged(KubeResource resource, JsonObject old, JsonObject json)
    {
        if (json.Text("metadata", "uid") is { Length: > 0 } uid && uid != old.Text("metadata", "uid"))
        {
            throw StatusException.Conflict(resource, old.Name(), $"Precondition failed: UID in precondition: {uid}, UID in object meta: {old.Text("metadata", "uid")}");
        }

        var (before, metadata) = (old.Meta(), json.Meta());
        foreach (var field in Kept)
        {
            metadata.Remove(field);
            if (before[field] is { } kept)
            {
                metadata[field] = kept.DeepClone();
            }
        }

        if (resource.HasGeneration && !SameSpec(resource, old, json))
        {
            metadata["generation"] = (before["generation"].Long() ?? 0) + 1;
        }
    }

    /// <summary>Whether nothing but metadata (and status, where it stands apart) has changed.</summary>
    private static bool SameSpec(KubeResource resource, JsonObject old, JsonObject json)
    {
        return JsonNode.DeepEquals(Spec(old), Spec(json));

        JsonObject Spec(JsonObject whole)
        {
            var spec = whole.Copy();
            spec.Remove("metadata");
            spec.Remove("apiVersion");
            if (resource.HasStatus)
            {
                spec.Remove("status");
            }

            return spec;
        }
    }

    private static bool IsName(KubeResource resource, string name) => resource.Group == "rbac.authorization.k8s.io"
        ? name is not ("." or "..") && !name.AsSpan().ContainsAny('/', '%')
        : name.Length <= 253 && Subdomain().IsMatch(name) && (resource.Qualified is not ("services" or "namespaces") || (name.Length <= 63 && !name.Contains('.', StringComparison.Ordinal)));

    [GeneratedRegex(@"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")]
    private static partial Regex Subdomain();
}
