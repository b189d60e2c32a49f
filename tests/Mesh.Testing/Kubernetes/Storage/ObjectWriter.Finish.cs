using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Ownership;
using Mesh.Testing.Kubernetes.Schemas;

namespace Mesh.Testing.Kubernetes.Storage;

internal sealed partial class ObjectWriter
{
    /// <summary>Defaults, admission and validation, the same for new and changed objects.</summary>
    private async Task<JsonObject> FinishAsync(ApiRequest request, KubeResource resource, JsonObject? old, JsonObject json)
    {
        Strictly(request, resource, json);
        CheckNamespace(request, resource, old, json);
        json = await admission.MutateAsync(request, resource, old, json, changed => Complete(resource, changed));
        Validate(resource, old, json);
        await admission.ValidateAsync(request, resource, old, json);
        return json;
    }

    /// <summary>Unknown fields go; what is said of them is the caller's choice.</summary>
    private void Strictly(ApiRequest request, KubeResource resource, JsonObject json)
    {
        var unknown = Complete(resource, json).Select(path => $"unknown field \"{path}\"").ToList();
        if (unknown.Count == 0)
        {
            return;
        }

        switch (request["fieldValidation"])
        {
            case "Strict":
                throw StatusException.BadRequest($"{resource.Kind} in version \"{request.Version}\" cannot be handled as a {resource.Kind}: strict decoding error: {string.Join(", ", unknown)}");
            case "Ignore":
                break;
            default:
                request.Warnings.AddRange(unknown);
                break;
        }
    }

    /// <returns>The unknown fields that are gone.</returns>
    private List<string> Complete(KubeResource resource, JsonObject json)
    {
        Defaults.Fill(resource, json);
        if (resource.Kind == "CustomResourceDefinition")
        {
            Establish(json);
        }

        if (resource.SchemaOf(resource.StorageVersion) is not { } schema)
        {
            return [];
        }

        var unknown = SchemaFilling.Prune(schema, json);
        SchemaFilling.Default(schema, json);
        return unknown;
    }

    private void Validate(KubeResource resource, JsonObject? old, JsonObject json)
    {
        var errors = resource.Kind == "CustomResourceDefinition" && !resource.IsCustom ? Defined()
            : resource.SchemaOf(resource.StorageVersion) is { } schema ? Custom(schema)
            : BuiltInCheck.Check(resource, old, json);
        if (errors.Count > 0)
        {
            throw StatusException.Invalid(resource, json.Name(), errors);
        }

        List<FieldError> Custom(JsonObject schema)
        {
            var found = SchemaValidator.Validate(schema, json);
            // Rules presume values of the right types.
            return found.Count > 0 ? found : [.. Rules?.Check(schema, json, old) ?? []];
        }

        List<FieldError> Defined()
        {
            var found = DefinitionCheck.Check(json);
            return found.Count > 0 || Rules is null
                ? found
                : [.. json.Items("spec", "versions").SelectMany(v => v.At("schema", "openAPIV3Schema") is JsonObject schema ? Rules.Compile(schema) : [])];
        }
    }

    private void Own(ApiRequest request, KubeResource resource, JsonObject? old, JsonObject json)
    {
        if (!request.IsInternal && !request.IsApply)
        {
            ManagedFields.Record(request, resource, old, json, KubeJson.Time(options.Time.GetUtcNow()));
        }
    }

    /// <summary>What the definitions' own controllers of a real server do a moment later: names accepted, the kind served.</summary>
    private void Establish(JsonObject json)
    {
        var now = KubeJson.Time(options.Time.GetUtcNow());
        var status = json.Map("status");
        status["acceptedNames"] = json["spec"]!["names"]!.DeepClone();
        status.Default("storedVersions", new JsonArray([.. json.Items("spec", "versions").Where(v => (bool?)v.At("storage") == true).Select(v => (JsonNode)v.Text("name"))]));
        status.Default("conditions", new JsonArray(Condition("NamesAccepted", "NoConflicts", "no conflicts found"), Condition("Established", "InitialNamesAccepted", "the initial names have been accepted")));

        JsonObject Condition(string type, string reason, string message) =>
            new() { ["type"] = type, ["status"] = "True", ["lastTransitionTime"] = now, ["reason"] = reason, ["message"] = message };
    }
}
