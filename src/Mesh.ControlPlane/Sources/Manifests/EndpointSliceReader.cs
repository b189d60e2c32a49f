using System.Collections.Immutable;
using System.Net.Sockets;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads an EndpointSlice (discovery.k8s.io/v1).</summary>
internal static class EndpointSliceReader
{
    private const string ServiceLabel = "kubernetes.io/service-name";

    public static Manifest? Read(YamlMap root, ManifestKey key, ObjectMeta meta)
    {
        var where = root.Where;
        var service = meta.Labels.GetValueOrDefault(ServiceLabel);
        if (service is null)
        {
            root.Problems.Refuse(root.Find("metadata")!.Value, $"metadata.labels has no '{ServiceLabel}'. Add it with the name of the Service these endpoints stand behind.");
        }

        var type = root.Word("addressType", null, "IPv4", "IPv6", "FQDN");
        AddressFamily? family = type switch { "IPv4" => AddressFamily.InterNetwork, "IPv6" => AddressFamily.InterNetworkV6, _ => null };
        var endpoints = ImmutableArray.CreateBuilder<SliceEndpointManifest>();
        foreach (var endpoint in root.Maps("endpoints"))
        {
            if (ReadEndpoint(endpoint, type, family, key) is { } read)
            {
                endpoints.Add(read);
            }
        }

        var ports = ReadPorts(root);
        return new EndpointSliceManifest(key, where, service ?? string.Empty, type == "FQDN", endpoints.ToImmutable(), ports) { ServiceAccount = meta.ServiceAccount, OpaquePorts = meta.OpaquePorts };
    }

    private static SliceEndpointManifest? ReadEndpoint(YamlMap endpoint, string? type, AddressFamily? family, ManifestKey slice)
    {
        var addresses = ImmutableArray.CreateBuilder<string>();
        foreach (var (text, node, path) in endpoint.Texts("addresses"))
        {
            var problem = type is null ? null
                : type == "FQDN" ? Names.IsSubdomain(text.TrimEnd('.').ToLowerInvariant()) ? null : "is no host name. " + Names.SubdomainRule
                : Names.AddressProblem(text, family);
            if (problem is not null)
            {
                endpoint.Problems.Refuse(node, $"{path} is '{text}', which {problem}");
                continue;
            }

            addresses.Add(type is "IPv4" or "IPv6" ? Names.Canonical(text) : text);
        }

        if (endpoint.Find("addresses") is null || (addresses.Count == 0 && !endpoint.Problems.Refused))
        {
            endpoint.Missing("addresses", "Add at least one address.");
        }

        var conditions = endpoint.Map("conditions");
        var ready = conditions?.Flag("ready") ?? true;
        var terminating = conditions?.Flag("terminating") ?? false;
        var draining = !ready && terminating && (conditions?.Flag("serving") ?? false);
        conditions?.Ignore("serving");
        conditions?.Close();

        var zone = endpoint.Text("zone") ?? string.Empty;
        var (nodeName, hostname) = (endpoint.Text("nodeName") ?? string.Empty, endpoint.Text("hostname") ?? string.Empty);
        endpoint.Ignore("hints", "deprecatedTopology");
        var pod = ReadTarget(endpoint, slice);
        endpoint.Close();
        return new SliceEndpointManifest(addresses.ToImmutable(), ready, zone, pod, endpoint.Where) { Draining = draining, NodeName = nodeName, Hostname = hostname };
    }

    private static string? ReadTarget(YamlMap endpoint, ManifestKey slice)
    {
        var target = endpoint.Map("targetRef");
        if (target is null)
        {
            return null;
        }

        var kind = target.Text("kind");
        var name = target.Text("name");
        var ns = target.Text("namespace");
        target.Ignore("apiVersion", "uid", "resourceVersion", "fieldPath");
        target.Close();
        if (kind != "Pod" || name is null)
        {
            return null;
        }

        if (ns is not null && ns != slice.Namespace)
        {
            target.Bad("namespace", ns, $"A slice's Pods are in its own namespace: use '{slice.Namespace}' or leave it out.");
            return null;
        }

        return name;
    }

    private static ImmutableArray<SlicePortManifest> ReadPorts(YamlMap root)
    {
        var ports = ImmutableArray.CreateBuilder<SlicePortManifest>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var port in root.Maps("ports"))
        {
            var name = port.Text("name") ?? string.Empty;
            if (name.Length > 0 && !Names.IsLabel(name))
            {
                port.Bad("name", name, Names.LabelRule);
            }
            else if (!names.Add(name))
            {
                port.Bad("name", name, "Another port of this slice has that name: give each its own.");
            }

            var number = port.Integer("port", 1, 65535, required: true);
            var protocol = port.Word("protocol", "TCP", "TCP", "UDP", "SCTP");
            port.Ignore("appProtocol");
            port.Close();
            if (number is not null && protocol == "TCP")
            {
                ports.Add(new SlicePortManifest(name, number.Value));
            }
        }

        return ports.ToImmutable();
    }
}
