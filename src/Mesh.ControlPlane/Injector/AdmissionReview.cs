using System.Text;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Injector;

/// <summary>What the API server asks of a webhook (admission.k8s.io/v1).</summary>
/// <param name="Group">Of the object's kind.</param>
/// <param name="Namespace">Empty for what stands in none.</param>
/// <param name="Name">Empty before it has one.</param>
/// <param name="Object">Null for a deletion.</param>
/// <param name="OldObject">What stands there now.</param>
internal sealed record AdmissionRequest(
    string Uid, string Operation, string Group, string Kind, string Subresource, string Namespace, string Name, bool DryRun, JsonObject? Object, JsonObject? OldObject)
{
    /// <returns>Null with the reason when it is no such question.</returns>
    public static AdmissionRequest? Read(JsonObject? review, out string problem)
    {
        var (version, kind, request) = (review.Text("apiVersion"), review.Text("kind"), review.Object("request"));
        problem = review is null ? "The body is no JSON object."
            : version != AdmissionAnswer.ApiVersion || kind != AdmissionAnswer.Kind ? $"The body is a {Shown.Short($"{version}/{kind}")}. Send an {AdmissionAnswer.ApiVersion} {AdmissionAnswer.Kind}."
            : request.Text("uid") is not { Length: > 0 and <= 200 } ? "request.uid is missing."
            : request.Object("kind").Text("kind") is not { Length: > 0 } ? "request.kind is missing."
            : request.Text("operation") is not { Length: > 0 } ? "request.operation is missing."
            : string.Empty;
        return problem.Length > 0 ? null : new AdmissionRequest(
            request.Text("uid")!, request.Text("operation")!, request.Object("kind").Text("group") ?? string.Empty, request.Object("kind").Text("kind")!,
            request.Text("subResource") ?? string.Empty, request.Text("namespace") ?? string.Empty, request.Text("name") ?? string.Empty, request.Flag("dryRun"),
            request.Object("object"), request.Object("oldObject"));
    }
}

/// <summary>What a webhook answers.</summary>
/// <param name="Refusal">Why the object is not let in; null: it is.</param>
internal sealed record AdmissionAnswer(string? Refusal = null)
{
    public const string ApiVersion = "admission.k8s.io/v1";
    public const string Kind = "AdmissionReview";

    /// <summary>All warnings together, of which the API server passes on 4,096 bytes.</summary>
    private const int MostWarnings = 15;

    public JsonArray Patch { get; init; } = [];

    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>For the API server's audit log: why nothing was done.</summary>
    public string? SkipReason { get; init; }

    public JsonObject Review(string uid)
    {
        var response = new JsonObject { ["uid"] = uid, ["allowed"] = Refusal is null };
        if (Refusal is not null)
        {
            response["status"] = new JsonObject { ["code"] = StatusCodes.Status422UnprocessableEntity, ["reason"] = "Invalid", ["message"] = Refusal };
        }

        if (Patch.Count > 0)
        {
            response["patchType"] = "JSONPatch";
            response["patch"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(Patch.ToJsonString()));
        }

        if (Warnings.Count > 0)
        {
            response["warnings"] = new JsonArray([.. Warnings.Take(MostWarnings).Select(w => (JsonNode)w)]);
        }

        if (SkipReason is not null)
        {
            response["auditAnnotations"] = new JsonObject { ["skip-reason"] = SkipReason };
        }

        return new JsonObject { ["apiVersion"] = ApiVersion, ["kind"] = Kind, ["response"] = response };
    }
}
