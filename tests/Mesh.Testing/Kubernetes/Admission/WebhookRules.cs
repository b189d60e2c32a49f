using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Storage;

namespace Mesh.Testing.Kubernetes.Admission;

/// <summary>Whether a webhook is to be asked about a write, and in which version of the object.</summary>
internal static class WebhookRules
{
    /// <returns>The version that a rule names; null: it is not to be asked.</returns>
    public static string? Match(ObjectStore store, JsonObject webhook, ApiRequest request, KubeResource resource, string operation, JsonObject? json, JsonObject? old)
    {
        var version = Version(webhook, request, resource, operation);
        return version is not null && MatchNamespace(store, webhook, request, resource, json ?? old) && MatchObject(webhook, json, old) ? version : null;
    }

    private static string? Version(JsonObject webhook, ApiRequest request, KubeResource resource, string operation)
    {
        var rules = webhook.Items("rules").Where(rule => MatchRule(rule, request, resource, operation)).ToList();
        if (rules.Exists(rule => MatchVersion(rule, request.Version)))
        {
            return request.Version;
        }

        return webhook.Text("matchPolicy") == "Exact" ? null : resource.Versions.FirstOrDefault(v => rules.Exists(rule => MatchVersion(rule, v)));
    }

    private static bool MatchVersion(JsonNode? rule, string version) => rule.Texts("apiVersions").Any(v => v == "*" || v == version);

    private static bool MatchRule(JsonNode? rule, ApiRequest request, KubeResource resource, string operation) =>
        rule.Texts("operations").Any(o => o == "*" || o == operation)
        && rule.Texts("apiGroups").Any(g => g == "*" || g == resource.Group)
        && rule.Text("scope") switch { "Cluster" => !resource.Namespaced, "Namespaced" => resource.Namespaced, _ => true }
        && rule.Texts("resources").Any(r => MatchResource(r, resource.Plural, request.Subresource));

    private static bool MatchResource(string rule, string plural, string subresource)
    {
        var parts = rule.Split('/');
        var (wanted, sub) = (parts[0], parts.Length > 1 ? parts[1] : "");
        return (wanted == "*" || wanted == plural) && (sub == subresource || (sub == "*" && parts.Length > 1));
    }

    private static bool MatchNamespace(ObjectStore store, JsonObject webhook, ApiRequest request, KubeResource resource, JsonObject? json)
    {
        if (webhook["namespaceSelector"] is not JsonObject { Count: > 0 } selector)
        {
            return true;
        }

        if (resource.Qualified == "namespaces")
        {
            return Selectors.MatchLabels(selector, json.At("metadata", "labels"));
        }

        return !resource.Namespaced || Selectors.MatchLabels(selector, store.Find("/namespaces", "", request.Namespace)?.Json.At("metadata", "labels"));
    }

    private static bool MatchObject(JsonObject webhook, JsonObject? json, JsonObject? old) =>
        webhook["objectSelector"] is not JsonObject { Count: > 0 } selector
        || (json is not null && Selectors.MatchLabels(selector, json.At("metadata", "labels")))
        || (old is not null && Selectors.MatchLabels(selector, old.At("metadata", "labels")));
}
