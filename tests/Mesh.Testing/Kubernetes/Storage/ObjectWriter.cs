using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Admission;
using Mesh.Testing.Kubernetes.Cel;
using Mesh.Testing.Kubernetes.Ownership;
using Mesh.Testing.Kubernetes.Schemas;

namespace Mesh.Testing.Kubernetes.Storage;

/// <summary>Every write: what the caller proposes is checked, completed and put into the store, or refused.</summary>
internal sealed partial class ObjectWriter(FakeKubeApiOptions options, ObjectStore store, ResourceTable resources, AdmissionChain admission)
{
    /// <summary>Evaluates a definition's CEL rules, when a test has attached something that can.</summary>
    public CelRules? Rules { get; set; }

    /// <summary>A new object.</summary>
    public async Task<JsonObject> CreateAsync(ApiRequest request, KubeResource resource, JsonObject body)
    {
        CheckBody(request, resource, body);
        var json = Incoming(request, resource, body);
        ForNew(request, resource, json);
        if (json.Name() is { Length: > 0 } name && store.Find(resource, json.Namespace(), name) is not null && json.Text("metadata", "generateName") == "")
        {
            throw StatusException.AlreadyExists(resource, name);
        }

        json = await FinishAsync(request, resource, null, json);
        ObjectMetadata.ForNew(resource, json, options.Time.GetUtcNow());
        Own(request, resource, null, json);
        if (request.DryRun)
        {
            return json;
        }

        return store.TryWrite(resource.Table, null, json, out var written) ? Written(resource, written.Json) : throw StatusException.AlreadyExists(resource, json.Name());
    }

    /// <summary>A changed object; one that is missing is made when <paramref name="create"/> says so.</summary>
    /// <param name="change">Given a copy of what is there, in the request's version; null: nothing.</param>
    public async Task<(JsonObject Json, bool Created)> ChangeAsync(ApiRequest request, KubeResource resource, Func<JsonObject?, JsonObject> change, bool create = false)
    {
        for (var attempt = 1; ; attempt++)
        {
            var seen = store.Find(resource, request.Namespace, request.Name);
            if (seen is null && !create)
            {
                throw StatusException.NotFound(resource, request.Name);
            }

            var body = change(seen is null ? null : Conversion.To(resource, request.Version, seen.Json));
            if (seen is null)
            {
                return (await CreateAsync(request with { Name = "" }, resource, body), true);
            }

            CheckBody(request, resource, body);
            if (body.Name() != request.Name)
            {
                throw StatusException.BadRequest($"the name of the object ({body.Name()}) does not match the name on the URL ({request.Name})");
            }

            var wanted = body.Text("metadata", "resourceVersion");
            if (wanted is not ("" or "0") && wanted != seen.Json.Text("metadata", "resourceVersion"))
            {
                throw StatusException.Modified(resource, request.Name);
            }

            var json = Incoming(request, resource, body);
            ForChanged(request, resource, seen.Json, json);
            json = await FinishAsync(request, resource, seen.Json, json);
            ObjectMetadata.ForChanged(resource, seen.Json, json);
            Own(request, resource, seen.Json, json);
            json.Meta()["resourceVersion"] = seen.Json.Text("metadata", "resourceVersion");
            if (request.DryRun || JsonNode.DeepEquals(json, seen.Json))
            {
                return (json, false);
            }

            if (IsOver(json))
            {
                if (store.TryRemove(resource.Table, seen, out var last))
                {
                    Removed(resource, last.Json);
                    return (last.Json, false);
                }
            }
            else if (store.TryWrite(resource.Table, seen, json, out var written))
            {
                return (Written(resource, written.Json), false);
            }

            // Another writer was faster: as a real server, only a caller that named its version is told.
            if (wanted is not ("" or "0") || attempt == 5)
            {
                throw StatusException.Modified(resource, request.Name);
            }
        }
    }

    private static bool IsOver(JsonObject json) =>
        json.At("metadata", "deletionTimestamp") is not null && !json.Items("metadata", "finalizers").Any() && json.Text("kind") != "Namespace";

    private static void CheckBody(ApiRequest request, KubeResource resource, JsonObject body)
    {
        var expected = resource.ApiVersion(request.Version);
        if (!resource.IsCustom)
        {
            // Typed decoders know from the path what they read.
            if (body.Text("kind") == "")
            {
                body["kind"] = resource.Kind;
            }

            if (body.Text("apiVersion") == "")
            {
                body["apiVersion"] = expected;
            }
        }

        if (body.Text("kind") is var kind && kind != resource.Kind)
        {
            throw StatusException.BadRequest(kind == "" ? "Object 'Kind' is missing" : $"{kind} in version \"{body.Text("apiVersion")}\" cannot be handled as a {resource.Kind}");
        }

        if (body.Text("apiVersion") is var version && version != expected)
        {
            throw StatusException.BadRequest($"the API version in the data ({version}) does not match the expected API version ({expected})");
        }

        if (resource.Namespaced)
        {
            if (body.Namespace() is var ns && ns != "" && ns != request.Namespace)
            {
                throw StatusException.BadRequest("the namespace of the provided object does not match the namespace sent on the request");
            }

            body.Meta()["namespace"] = request.Namespace;
        }
        else
        {
            body.Meta().Remove("namespace");
        }
    }

    /// <summary>In the version that objects are kept in, with nothing that only the server may say.</summary>
    private static JsonObject Incoming(ApiRequest request, KubeResource resource, JsonObject body)
    {
        var json = Conversion.From(resource, request.Version, body);
        json.Meta().Remove("resourceVersion");
        return json;
    }

    private static void ForNew(ApiRequest request, KubeResource resource, JsonObject json)
    {
        if (resource.HasStatus && !request.KeepsStatus)
        {
            json.Remove("status");
        }
    }

    private static void ForChanged(ApiRequest request, KubeResource resource, JsonObject old, JsonObject json)
    {
        if (request.Subresource == "status")
        {
            // Nothing but the status, and who owns it.
            var owners = request.IsApply ? json.At("metadata", "managedFields")?.DeepClone() : null;
            foreach (var name in json.Select(p => p.Key).Where(n => n != "status").Except(old.Select(p => p.Key)).ToList())
            {
                json.Remove(name);
            }

            foreach (var (name, value) in old.Where(p => p.Key != "status"))
            {
                json[name] = value?.DeepClone();
            }

            if (owners is not null)
            {
                json.Meta()["managedFields"] = owners;
            }
        }
        else if (resource.HasStatus && !request.KeepsStatus)
        {
            json.Remove("status");
            if (old["status"] is { } status)
            {
                json["status"] = status.DeepClone();
            }
        }
    }

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

    private void CheckNamespace(ApiRequest request, KubeResource resource, JsonObject? old, JsonObject json)
    {
        if (!resource.Namespaced || old is not null)
        {
            return;
        }

        var ns = store.Find("/namespaces", "", request.Namespace) ?? throw StatusException.NotFound(resources.BuiltIn("", "namespaces"), request.Namespace);
        if (ns.Json.At("metadata", "deletionTimestamp") is not null)
        {
            throw StatusException.Forbidden(resource, json.Name(), $"unable to create new content in namespace {request.Namespace} because it is being terminated");
        }
    }

    /// <summary>What follows from a write: definitions bring kinds.</summary>
    private JsonObject Written(KubeResource resource, JsonObject json)
    {
        if (resource.Kind == "CustomResourceDefinition" && json.Items("status", "conditions").Any(c => c.Text("type") == "Established"))
        {
            resources.Define(json);
        }

        return json;
    }
}
