using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Tests.Sources;

/// <summary>Manifests of a test, as text.</summary>
internal static class Manifests
{
    public static readonly TrustDomain TrustDomain = TrustDomain.Parse("cluster.local");

    public static MeshModel Model(string yaml, params string[] meshed) => Assemble([ManifestFile.Read("in.yaml", yaml, null)], meshed);

    public static MeshModel Assemble(IEnumerable<ManifestFile> files, params string[] meshed) =>
        ModelAssembler.Assemble(files, TrustDomain, new FakeMarks(meshed), _ => []);

    public static string Service(string name, int port = 80, string ns = "shop") => $"""
        apiVersion: v1
        kind: Service
        metadata: {"{"}name: {name}, namespace: {ns}{"}"}
        spec: {"{"}ports: [{"{"}port: {port}{"}"}]{"}"}
        """;

    public static string Slice(string service, string address, int port = 8080, string ns = "shop", string account = "sa") => $"""
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: {service}-1
          namespace: {ns}
          labels: {"{"}kubernetes.io/service-name: {service}{"}"}
          annotations: {"{"}meshlib.io/service-account: {account}{"}"}
        addressType: IPv4
        endpoints: [{"{"}addresses: [{address}]{"}"}]
        ports: [{"{"}port: {port}{"}"}]
        """;
}

/// <summary>Endpoints marked by <c>ip:port</c>; <c>*</c> marks all, <c>+tcp</c> behind it one that a sidecar serves.</summary>
internal sealed class FakeMarks(params string[] hostPorts) : IMeshMarks
{
    public ImmutableHashSet<string> HostPorts { get; set; } = [.. hostPorts];

    public bool IsMeshed(string hostPort, SpiffeId id) => HostPorts.Contains("*") || HostPorts.Contains(hostPort) || IsTransparent(hostPort, id);

    public bool IsTransparent(string hostPort, SpiffeId id) => HostPorts.Contains(hostPort + "+tcp");
}
