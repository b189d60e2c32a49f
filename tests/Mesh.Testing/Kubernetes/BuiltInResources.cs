namespace Mesh.Testing.Kubernetes;

/// <summary>The kinds that are there without a CustomResourceDefinition.</summary>
internal static class BuiltInResources
{
    private static readonly string[] ReviewVerbs = ["create"];

    public static IReadOnlyList<KubeResource> All { get; } =
    [
        new("", "namespaces", "Namespace", false) { ShortNames = ["ns"], HasStatus = true, Verbs = ["create", "delete", "get", "list", "patch", "update", "watch"] },
        new("", "services", "Service", true) { ShortNames = ["svc"], Categories = ["all"], HasStatus = true },
        new("", "endpoints", "Endpoints", true) { ShortNames = ["ep"] , ListKind = "EndpointsList" },
        new("", "pods", "Pod", true) { ShortNames = ["po"], Categories = ["all"], HasStatus = true },
        new("", "serviceaccounts", "ServiceAccount", true) { ShortNames = ["sa"], Subresources = ["token"] },
        new("", "nodes", "Node", false) { ShortNames = ["no"], HasStatus = true },
        new("", "secrets", "Secret", true),
        new("", "configmaps", "ConfigMap", true) { ShortNames = ["cm"] },
        new("", "events", "Event", true) { ShortNames = ["ev"] },
        new("", "persistentvolumeclaims", "PersistentVolumeClaim", true) { ShortNames = ["pvc"], HasStatus = true },
        new("events.k8s.io", "events", "Event", true) { ShortNames = ["ev"], SharedGroup = "" },
        new("discovery.k8s.io", "endpointslices", "EndpointSlice", true) { HasGeneration = true },
        new("apps", "deployments", "Deployment", true) { ShortNames = ["deploy"], Categories = ["all"], HasStatus = true, HasGeneration = true },
        new("apps", "replicasets", "ReplicaSet", true) { ShortNames = ["rs"], Categories = ["all"], HasStatus = true, HasGeneration = true },
        new("apps", "daemonsets", "DaemonSet", true) { ShortNames = ["ds"], Categories = ["all"], HasStatus = true, HasGeneration = true },
        new("apps", "statefulsets", "StatefulSet", true) { ShortNames = ["sts"], Categories = ["all"], HasStatus = true, HasGeneration = true },
        new("batch", "jobs", "Job", true) { Categories = ["all"], HasStatus = true, HasGeneration = true },
        new("batch", "cronjobs", "CronJob", true) { ShortNames = ["cj"], Categories = ["all"], HasStatus = true, HasGeneration = true },
        new("coordination.k8s.io", "leases", "Lease", true),
        new("policy", "poddisruptionbudgets", "PodDisruptionBudget", true) { ShortNames = ["pdb"], HasStatus = true, HasGeneration = true },
        new("autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true) { ShortNames = ["hpa"], Categories = ["all"], HasStatus = true, Versions = ["v2", "v1"], StorageVersion = "v2" },
        new("networking.k8s.io", "networkpolicies", "NetworkPolicy", true) { ShortNames = ["netpol"], HasGeneration = true, ListKind = "NetworkPolicyList" },
        new("rbac.authorization.k8s.io", "roles", "Role", true),
        new("rbac.authorization.k8s.io", "rolebindings", "RoleBinding", true),
        new("rbac.authorization.k8s.io", "clusterroles", "ClusterRole", false),
        new("rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding", false),
        new("scheduling.k8s.io", "priorityclasses", "PriorityClass", false) { ShortNames = ["pc"], HasGeneration = true },
        new("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", false) { Categories = ["api-extensions"], HasGeneration = true },
        new("admissionregistration.k8s.io", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", false) { Categories = ["api-extensions"], HasGeneration = true },
        new("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", false) { ShortNames = ["crd", "crds"], Categories = ["api-extensions"], HasStatus = true, HasGeneration = true },
        new("authentication.k8s.io", "tokenreviews", "TokenReview", false) { Verbs = ReviewVerbs },
        new("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", false) { Verbs = ReviewVerbs },
        new("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", false) { Verbs = ReviewVerbs },
        new("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false) { Verbs = ReviewVerbs },
        new("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", true) { Verbs = ReviewVerbs },
    ];
}
