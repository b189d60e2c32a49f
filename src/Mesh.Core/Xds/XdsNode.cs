using System.Reflection;
using Google.Protobuf.WellKnownTypes;
using Mesh.Protos.Envoy.Core;

namespace Mesh.Xds;

/// <summary>Who asks: what the control plane learns of this workload.</summary>
/// <param name="Id"><c>&lt;workload&gt;~&lt;instance&gt;~&lt;namespace&gt;</c>.</param>
/// <param name="InstanceIps">Addresses of this instance, for listeners bound to any address.</param>
internal sealed record XdsNode(string Id, string Namespace, string ServiceAccount, string Workload, IReadOnlyList<string> InstanceIps)
{
    private static readonly string Version =
        typeof(XdsNode).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    /// <summary>Where it runs; null is unknown.</summary>
    public Config.Locality? Locality { get; init; }

    /// <summary>A sidecar that stands before every port of this host.</summary>
    public bool IsTransparent { get; init; }

    /// <summary>Ports that the sidecar lets alone, such as <c>22,9000-9010</c>; null is none.</summary>
    public string? SkipInboundPorts { get; init; }

    /// <summary>The message that opens every stream. Features and user agent are ours to state, never the operator's.</summary>
    public Node ToProto()
    {
        var node = Message();
        if (IsTransparent)
        {
            node.Metadata.Fields["MESH_TRANSPARENT"] = Value.ForString("true");
            if (!string.IsNullOrWhiteSpace(SkipInboundPorts))
            {
                node.Metadata.Fields["MESH_SKIP_INBOUND_PORTS"] = Value.ForString(SkipInboundPorts);
            }
        }

        return node;
    }

    private Node Message() => new()
    {
        Id = Id,
        Cluster = Workload,
        Locality = Locality is { } own ? new() { Region = own.Region, Zone = own.Zone, SubZone = own.SubZone } : null,
        UserAgentName = "mesh",
        UserAgentVersion = Version,
        ClientFeatures = { "xds.config.resource-in-sotw" },
        Metadata = new Struct
        {
            Fields =
            {
                ["NAMESPACE"] = Value.ForString(Namespace),
                ["SERVICE_ACCOUNT"] = Value.ForString(ServiceAccount),
                ["WORKLOAD_NAME"] = Value.ForString(Workload),
                ["MESH_VERSION"] = Value.ForString(Version),
                ["INSTANCE_IPS"] = Value.ForString(string.Join(',', InstanceIps)),
            },
        },
    };
}
