using System.Text.Json.Nodes;
using Mesh.Testing.Kubernetes.Storage;

namespace Mesh.Testing.Kubernetes.Rbac;

/// <summary>What someone wants to do.</summary>
/// <param name="Resource">With <c>/status</c> for a subresource; empty: <paramref name="Path"/> is wanted.</param>
internal sealed record Access(string Verb, string Group, string Resource, string Namespace, string Name, string Path = "");

/// <summary>RBAC, from the roles and bindings that are stored.</summary>
internal sealed class Authorizer(ObjectStore store)
{
    private const string Group = "rbac.authorization.k8s.io";

    /// <summary>What every cluster has from its start, as far as service accounts can see it.</summary>
    public const string Bootstrap = """
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata: { name: cluster-admin, labels: { kubernetes.io/bootstrapping: rbac-defaults } }
        rules:
        - { apiGroups: ["*"], resources: ["*"], verbs: ["*"] }
        - { nonResourceURLs: ["*"], verbs: ["*"] }
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata: { name: "system:auth-delegator", labels: { kubernetes.io/bootstrapping: rbac-defaults } }
        rules:
        - { apiGroups: [authentication.k8s.io], resources: [tokenreviews], verbs: [create] }
        - { apiGroups: [authorization.k8s.io], resources: [subjectaccessreviews], verbs: [create] }
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata: { name: "system:basic-user", labels: { kubernetes.io/bootstrapping: rbac-defaults } }
        rules:
        - { apiGroups: [authorization.k8s.io], resources: [selfsubjectaccessreviews, selfsubjectrulesreviews], verbs: [create] }
        - { apiGroups: [authentication.k8s.io], resources: [selfsubjectreviews], verbs: [create] }
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata: { name: "system:basic-user", labels: { kubernetes.io/bootstrapping: rbac-defaults } }
        roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:basic-user" }
        subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:authenticated" }]
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata: { name: "system:discovery", labels: { kubernetes.io/bootstrapping: rbac-defaults } }
        rules:
        - { nonResourceURLs: [/api, "/api/*", /apis, "/apis/*", /healthz, /livez, /openapi, "/openapi/*", /readyz, /version, /version/], verbs: [get] }
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRoleBinding
        metadata: { name: "system:discovery", labels: { kubernetes.io/bootstrapping: rbac-defaults } }
        roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:discovery" }
        subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:authenticated" }]
        """;

    /// <summary>Which binding allows it; null: none does.</summary>
    public string? Allows(ApiUser user, Access access)
    {
        if (user.IsMaster)
        {
            return "system:masters";
        }

        foreach (var binding in store.All($"{Group}/clusterrolebindings").Where(b => IsSubject(user, b)))
        {
            if (Rules(binding, "").Any(rule => Covers(rule, access)))
            {
                return $"RBAC: allowed by ClusterRoleBinding \"{binding.Name}\"";
            }
        }

        foreach (var binding in store.All($"{Group}/rolebindings").Where(b => access.Namespace != "" && b.Namespace == access.Namespace && IsSubject(user, b)))
        {
            if (Rules(binding, binding.Namespace).Any(rule => Covers(rule, access)))
            {
                return $"RBAC: allowed by RoleBinding \"{binding.Namespace}/{binding.Name}\"";
            }
        }

        return null;
    }

    public static Access Of(ApiRequest request)
    {
        var name = request.Name;
        // A list of one object by its name counts as that object.
        if (name == "" && request["fieldSelector"] is { Length: > 0 } fields && fields.Split(',').FirstOrDefault(f => f.StartsWith("metadata.name=", StringComparison.Ordinal)) is { } term)
        {
            name = term["metadata.name=".Length..].TrimStart('=');
        }

        var isNamespace = request.Group == "" && request.Plural == "namespaces";
        return new Access(request.Verb, request.Group, request.Plural + (request.Subresource == "" ? "" : "/" + request.Subresource), isNamespace ? request.Name : request.Namespace, name);
    }

    public static StatusException Refusal(ApiUser user, Access access)
    {
        if (access.Resource == "")
        {
            return new StatusException(403, "Forbidden", $"forbidden: User \"{user.Name}\" cannot {access.Verb} path \"{access.Path}\"", []);
        }

        var plural = access.Resource.Split('/')[0];
        var scope = access.Namespace == "" ? "at the cluster scope" : $"in the namespace \"{access.Namespace}\"";
        return StatusException.Forbidden(new KubeResource(access.Group, plural, "", true), access.Name, $"User \"{user.Name}\" cannot {access.Verb} resource \"{access.Resource}\" in API group \"{access.Group}\" {scope}");
    }

    private IEnumerable<JsonNode?> Rules(StoredObject binding, string ns)
    {
        var role = binding.Json.Text("roleRef", "name");
        var found = binding.Json.Text("roleRef", "kind") == "Role" ? store.Find($"{Group}/roles", ns, role) : store.Find($"{Group}/clusterroles", "", role);
        return found?.Json.Items("rules") ?? [];
    }

    private static bool IsSubject(ApiUser user, StoredObject binding) => binding.Json.Items("subjects").Any(subject => subject.Text("kind") switch
    {
        "User" => subject.Text("name") == user.Name,
        "Group" => user.Groups.Contains(subject.Text("name")),
        "ServiceAccount" => user.Name == $"system:serviceaccount:{(subject.Text("namespace") is { Length: > 0 } ns ? ns : binding.Namespace)}:{subject.Text("name")}",
        _ => false,
    });

    private static bool Covers(JsonNode? rule, Access access)
    {
        if (!rule.Texts("verbs").Any(v => v == "*" || v == access.Verb))
        {
            return false;
        }

        if (access.Resource == "")
        {
            return rule.Texts("nonResourceURLs").Any(url => url == "*" || url == access.Path || (url.EndsWith('*') && access.Path.StartsWith(url[..^1], StringComparison.Ordinal)));
        }

        var sub = access.Resource.Split('/') is [_, var part] ? part : null;
        return rule.Texts("apiGroups").Any(g => g == "*" || g == access.Group)
            && rule.Texts("resources").Any(r => r == "*" || r == access.Resource || (sub is not null && r == "*/" + sub))
            && (rule.At("resourceNames") is not JsonArray { Count: > 0 } names || names.Any(n => n.Text() == access.Name && access.Name != ""));
    }
}
