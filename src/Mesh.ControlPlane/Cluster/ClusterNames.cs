using Mesh.ControlPlane.Sources;

namespace Mesh.ControlPlane.Cluster;

/// <summary>What the control plane calls its objects in the cluster, and where they are.</summary>
internal static class ClusterNames
{
    public const string FieldManager = "mesh-control-plane";
    public const string Lease = "mesh-control-plane";
    public const string Service = "mesh-control-plane";
    public const string AuthoritySecret = "mesh-authority";
    public const string AdminTokenSecret = "mesh-admin-token";
    public const string IssuerSecret = "mesh-issuer";
    public const string TrustBundle = "mesh-trust-bundle";
    public const string TrustBundleKey = "ca.crt";
    public const string MarksConfigMap = "mesh-marks";
    public const string ReplicaPrefix = "mesh-replica-";
    public const string ReplicaLabel = Annotations.Domain + "/replica";
    public const string Config = "mesh-config";
    public const string Injector = "mesh-injector";
    public const string Validator = "mesh-validator";

    public static string Secrets(string ns) => $"/api/v1/namespaces/{ns}/secrets";

    public static string ConfigMaps(string ns) => $"/api/v1/namespaces/{ns}/configmaps";

    public static string Pods(string ns) => $"/api/v1/namespaces/{ns}/pods";

    /// <summary>A list of the one object of that name.</summary>
    public static string One(string list, string name) => $"{list}?fieldSelector=metadata.name%3D{Uri.EscapeDataString(name)}";
}
