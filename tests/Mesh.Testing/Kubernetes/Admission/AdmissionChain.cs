using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Patching;
using Mesh.Testing.Kubernetes.Rbac;
using Mesh.Testing.Kubernetes.Storage;

namespace Mesh.Testing.Kubernetes.Admission;

/// <summary>Asks the webhooks that are configured: first those that change objects, then those that only judge.</summary>
internal sealed class AdmissionChain(ObjectStore store, WebhookServices services)
{
    private const string Group = "admissionregistration.k8s.io";

    /// <param name="complete">Defaults and pruning, again after each change.</param>
    public async Task<JsonObject> MutateAsync(ApiRequest request, KubeResource resource, JsonObject? old, JsonObject json, Action<JsonObject> complete)
    {
        if (IsExempt(request, resource))
        {
            return json;
        }

        // Those that asked to see the object again when another has changed it since: waiting for such a change, and due.
        var (waiting, due) = (new List<JsonObject>(), new List<JsonObject>());
        foreach (var webhook in Webhooks("mutatingwebhookconfigurations"))
        {
            var (after, asked) = await MutateOnceAsync(request, resource, old, json, webhook, complete);
            if (!JsonNode.DeepEquals(after, json))
            {
                json = after;
                due.AddRange(waiting);
                waiting.Clear();
            }

            if (asked && webhook.Text("reinvocationPolicy") == "IfNeeded")
            {
                waiting.Add(webhook);
            }
        }

        foreach (var webhook in due)
        {
            (json, _) = await MutateOnceAsync(request, resource, old, json, webhook, complete);
        }

        return json;
    }

    public async Task ValidateAsync(ApiRequest request, KubeResource resource, JsonObject? old, JsonObject? json)
    {
        if (IsExempt(request, resource))
        {
            return;
        }

        foreach (var webhook in Webhooks("validatingwebhookconfigurations"))
        {
            await AskAsync(request, resource, old, json, webhook);
        }
    }

    private static bool IsExempt(ApiRequest request, KubeResource resource) => request.IsInternal || resource.Group == Group;

    private IEnumerable<JsonObject> Webhooks(string plural) =>
        store.All($"{Group}/{plural}").OrderBy(c => c.Name, StringComparer.Ordinal).SelectMany(c => c.Json.Items("webhooks")).OfType<JsonObject>();

    private async Task<(JsonObject Json, bool Asked)> MutateOnceAsync(ApiRequest request, KubeResource resource, JsonObject? old, JsonObject json, JsonObject webhook, Action<JsonObject> complete)
    {
        if (await AskAsync(request, resource, old, json, webhook) is not { } response)
        {
            return (json, false);
        }

        if (response.Text("patch") is not { Length: > 0 } patch)
        {
            return (json, true);
        }

        if (response.Text("patchType") != "JSONPatch")
        {
            throw Failed(webhook, "webhook returned response.patch but not response.patchType JSONPatch");
        }

        var operations = JsonNode.Parse(Convert.FromBase64String(patch)) as JsonArray ?? throw Failed(webhook, "the patch is not a list of operations");
        var version = WebhookRules.Match(store, webhook, request, resource, Operation(old, json), json, old)!;
        var patched = JsonPatch.Apply(Conversion.To(resource, version, json), operations) as JsonObject ?? throw Failed(webhook, "the patch left no object");
        var after = Conversion.From(resource, version, patched);
        complete(after);
        return (after, true);
    }

    /// <returns>The response; null: the webhook is not concerned, or failed and may.</returns>
    private async Task<JsonObject?> AskAsync(ApiRequest request, KubeResource resource, JsonObject? old, JsonObject? json, JsonObject webhook)
    {
        var operation = Operation(old, json);
        if (WebhookRules.Match(store, webhook, request, resource, operation, json, old) is not { } version)
        {
            return null;
        }

        var name = webhook.Text("name");
        if (request.DryRun && webhook.Text("sideEffects") is not ("None" or "NoneOnDryRun"))
        {
            throw StatusException.BadRequest($"admission webhook \"{name}\" does not support dry run");
        }

        JsonObject response;
        try
        {
            response = await WebhookCall.AskAsync(services, webhook, Review(request, resource, operation, version, old, json));
        }
        catch (WebhookException failed)
        {
            return webhook.Text("failurePolicy") == "Ignore" ? null : throw Failed(webhook, failed.Message);
        }

        request.Warnings.AddRange(response.Texts("warnings"));
        return (bool?)response["allowed"] == true ? response : throw Denied(name, response["status"]);
    }

    private static JsonObject Review(ApiRequest request, KubeResource resource, string operation, string version, JsonObject? old, JsonObject? json)
    {
        var about = new JsonObject
        {
            ["uid"] = Guid.NewGuid().ToString(),
            ["kind"] = Kind(version),
            ["resource"] = Resource(version),
            ["requestKind"] = Kind(request.Version),
            ["requestResource"] = Resource(request.Version),
        };
        if (request.Subresource != "")
        {
            about["subResource"] = request.Subresource;
            about["requestSubResource"] = request.Subresource;
        }

        if ((json ?? old)!.Name() is { Length: > 0 } name)
        {
            about["name"] = name;
        }

        if (resource.Namespaced)
        {
            about["namespace"] = request.Namespace;
        }

        about["operation"] = operation;
        about["userInfo"] = Reviews.User(request.User);
        about["object"] = json is null ? null : Conversion.To(resource, version, json);
        about["oldObject"] = old is null ? null : Conversion.To(resource, version, old);
        about["dryRun"] = request.DryRun;
        about["options"] = new JsonObject { ["kind"] = operation switch { "CREATE" => "CreateOptions", "UPDATE" => "UpdateOptions", _ => "DeleteOptions" }, ["apiVersion"] = "meta.k8s.io/v1" };
        return new JsonObject { ["kind"] = "AdmissionReview", ["apiVersion"] = "admission.k8s.io/v1", ["request"] = about };

        JsonObject Kind(string of) => new() { ["group"] = resource.Group, ["version"] = of, ["kind"] = resource.Kind };
        JsonObject Resource(string of) => new() { ["group"] = resource.Group, ["version"] = of, ["resource"] = resource.Plural };
    }

    private static string Operation(JsonObject? old, JsonObject? json) => json is null ? "DELETE" : old is null ? "CREATE" : "UPDATE";

    private static StatusException Failed(JsonObject webhook, string why) =>
        new(500, "InternalError", $"Internal error occurred: failed calling webhook \"{webhook.Text("name")}\": {why}", new JsonObject { ["causes"] = new JsonArray(new JsonObject { ["message"] = $"failed calling webhook \"{webhook.Text("name")}\": {why}" }) });

    private static StatusException Denied(string name, JsonNode? status)
    {
        var why = status.Text("message") is { Length: > 0 } message ? $": {message}" : status.Text("reason") is { Length: > 0 } reason ? $": {reason}" : " without explanation";
        var code = (int?)status.At("code").Long() is >= 400 and int given ? given : 400;
        return new StatusException(code, status.Text("reason"), $"admission webhook \"{name}\" denied the request{why}", status.At("details") as JsonObject);
    }
}
