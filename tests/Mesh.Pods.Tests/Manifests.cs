using System.Globalization;
using System.Text;

namespace Mesh.Pods.Tests;

/// <summary>YAML of Services with the pods behind them.</summary>
internal static class Manifests
{
    /// <summary>A Service with an IPv4 and an IPv6 address of its own, and a slice for each pod and family.</summary>
    /// <param name="number">Of its addresses: 10.96.0.N and fd96::N.</param>
    public static string Service(string name, int number, string account, IReadOnlyList<(string Name, int Port)> ports, params MeshPod[] pods)
    {
        var yaml = new StringBuilder(Text($$"""
            apiVersion: v1
            kind: Service
            metadata: { name: {{name}}, namespace: {{PodMesh.KubernetesNamespace}} }
            spec:
              clusterIPs: [10.96.0.{{number}}, "fd96::{{number}}"]
              ports:

            """));
        foreach (var (portName, port) in ports)
        {
            yaml.Append(Text($"  - {{ name: {portName}, port: {port} }}\n"));
        }

        foreach (var pod in pods)
        {
            foreach (var (family, address) in new[] { ("IPv4", pod.IpV4), ("IPv6", pod.IpV6) })
            {
                yaml.Append(Text($$"""
                    ---
                    apiVersion: discovery.k8s.io/v1
                    kind: EndpointSlice
                    metadata:
                      name: {{name}}-{{pod.Name}}-{{family.ToLowerInvariant()}}
                      namespace: {{PodMesh.KubernetesNamespace}}
                      labels: { kubernetes.io/service-name: {{name}} }
                      annotations: { meshlib.io/service-account: {{account}} }
                    addressType: {{family}}
                    endpoints: [{ addresses: ["{{address}}"] }]
                    ports:

                    """));
                foreach (var (portName, port) in ports)
                {
                    yaml.Append(Text($"- {{ name: {portName}, port: {port} }}\n"));
                }
            }
        }

        return yaml.Append("---\n").ToString();
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
