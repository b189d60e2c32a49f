using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Sources.Manifests.Policies;

namespace Mesh.ControlPlane.Injector;

/// <summary>Answers whether policies and routes may stand, by what the source will make of them. Pure.</summary>
/// <remarks>A policy of ours that can't be read is refused. A route may be meant for others: of what we don't do of it we warn, and its status will say it.</remarks>
internal static class ObjectAdmission
{
    private static readonly string[] Routes = ["HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"];

    /// <summary>YAML knows what JSON escapes needlessly by other names.</summary>
    private static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static AdmissionAnswer Answer(AdmissionRequest request)
    {
        if (request is not { Operation: "CREATE" or "UPDATE", Subresource: "", Object: { } given } || IsGoing(given))
        {
            return new AdmissionAnswer();
        }

        var isPolicy = request.Group == PolicyKind.ApiVersion.Split('/')[0];
        if (!isPolicy && !(request.Group == RouteFields.GatewayGroup && Routes.Contains(request.Kind) && HasServiceParent(given)))
        {
            return new AdmissionAnswer();
        }

        var (refusals, notes) = Problems(Named(given, request));
        if (!isPolicy || refusals.Count == 0)
        {
            return new AdmissionAnswer { Warnings = [.. refusals.Concat(notes).Select(Shown.Warning)] };
        }

        // It stands already: to take a label from it, or a finalizer, is no worse than to leave it.
        if (request.OldObject is { } old && JsonNode.DeepEquals(old["spec"], given["spec"]))
        {
            return new AdmissionAnswer { Warnings = [.. refusals.Concat(notes).Select(Shown.Warning)] };
        }

        var subject = $"{request.Kind} '{request.Namespace}/{request.Name}'";
        return new AdmissionAnswer(refusals.Count == 1 ? $"{subject}: {refusals[0]}" : $"{subject} has {refusals.Count} problems:\n{string.Join('\n', refusals.Select(r => $"- {r}"))}") { Warnings = [.. notes.Select(Shown.Warning)] };
    }

    private static (List<string> Refusals, List<string> Notes) Problems(JsonObject given)
    {
        var (refusals, notes) = (new List<string>(), new List<string>());
        try
        {
            foreach (var document in ManifestParser.Parse(string.Empty, given.ToJsonString(Plain)))
            {
                foreach (var (problem, refuses) in document.Problems.All)
                {
                    // What it is about stands in the answer once.
                    var subject = document.Key is { } key ? $"{key}: " : string.Empty;
                    (refuses ? refusals : notes).Add(subject.Length > 0 && problem.What.StartsWith(subject, StringComparison.Ordinal) ? problem.What[subject.Length..] : problem.What);
                }
            }
        }
        catch (ManifestSyntaxException e)
        {
            refusals.Add(e.Message);
        }

        return (refusals, notes);
    }

    /// <summary>As it will stand: with a name and a namespace.</summary>
    private static JsonObject Named(JsonObject given, AdmissionRequest request)
    {
        var named = (JsonObject)given.DeepClone();
        if (named.Object("metadata") is { } meta)
        {
            if (meta.Text("name") is null or "")
            {
                meta["name"] = request.Name.Length > 0 ? request.Name : $"{meta.Text("generateName")}x";
            }

            if (meta.Text("namespace") is null && request.Namespace.Length > 0)
            {
                meta["namespace"] = request.Namespace;
            }
        }

        return named;
    }

    private static bool IsGoing(JsonObject given) => given.Object("metadata").Text("deletionTimestamp") is not null;

    private static bool HasServiceParent(JsonObject route) => route.Object("spec").Objects("parentRefs").Any(p => p.Text("kind") == "Service");
}
