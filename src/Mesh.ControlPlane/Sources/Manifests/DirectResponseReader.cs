using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads a DirectResponse of ours: an answer that routes give themselves, named by an <c>extensionRef</c>.</summary>
internal static class DirectResponseReader
{
    public const string Group = "policy." + Annotations.Domain;
    public const string ApiVersion = Group + "/v1alpha1";

    /// <summary>Envoy's <c>max_direct_response_body_size_bytes</c>.</summary>
    private const int MaxBody = 4096;

    public static Manifest? Read(YamlMap root, ManifestKey key, ObjectMeta meta)
    {
        var where = root.Where;
        var spec = root.Map("spec", required: true);
        if (spec is null)
        {
            return null;
        }

        var status = spec.Integer("status", 200, 599, required: true);
        var body = spec.Text("body") ?? string.Empty;
        var contentType = spec.Text("contentType");
        spec.Close();
        if (System.Text.Encoding.UTF8.GetByteCount(body) > MaxBody)
        {
            spec.Bad("body", body, $"Use at most {MaxBody} bytes.");
        }

        if (contentType is not null && !System.Net.Http.Headers.MediaTypeHeaderValue.TryParse(contentType, out _))
        {
            spec.Bad("contentType", contentType, "Use a media type, such as application/json.");
        }

        return new DirectResponseManifest(key, where, new DirectResponse(status ?? 200, body, contentType));
    }
}

internal sealed record DirectResponseManifest(ManifestKey Key, string Where, DirectResponse Response) : Manifest(Key, Where);
