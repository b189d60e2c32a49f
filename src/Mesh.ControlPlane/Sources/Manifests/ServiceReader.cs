using System.Collections.Immutable;
using System.Globalization;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads a Service (v1).</summary>
internal static class ServiceReader
{
    public static Manifest? Read(YamlMap root, ManifestKey key, ObjectMeta meta)
    {
        var where = root.Where;
        var spec = root.Map("spec", required: true);
        if (spec is null)
        {
            return null;
        }

        var external = spec.Word("type", "ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName") == "ExternalName" ? ReadExternalName(spec) : null;
        var headless = spec.Find("clusterIP")?.Value == "None";
        var ports = ReadPorts(spec, needed: external is null && !headless);
        var service = new ServiceManifest(key, where, ports, meta.ServiceAccount)
        {
            Selector = spec.TextMap("selector"),
            PublishNotReadyAddresses = spec.Flag("publishNotReadyAddresses") ?? false,
            ClusterIps = ReadClusterIps(spec),
            Headless = headless,
            ExternalName = external,
            Distribution = spec.Word("trafficDistribution", string.Empty, "PreferClose", "PreferSameZone", "PreferSameNode") switch
            {
                "PreferClose" or "PreferSameZone" => TrafficDistribution.SameZone,
                "PreferSameNode" => TrafficDistribution.SameNode,
                _ => TrafficDistribution.None,
            },
            OnlyOwnNode = spec.Word("internalTrafficPolicy", "Cluster", "Cluster", "Local") == "Local",
            OpaquePorts = meta.OpaquePorts,
            Labels = meta.Labels,
            TapDisabled = meta.TapDisabled,
        };
        spec.Ignore("ipFamilies", "ipFamilyPolicy", "sessionAffinity", "sessionAffinityConfig", "externalIPs", "externalName", "externalTrafficPolicy",
            "healthCheckNodePort", "loadBalancerIP", "loadBalancerSourceRanges", "loadBalancerClass", "allocateLoadBalancerNodePorts");
        spec.Close();
        return service;
    }

    private static string? ReadExternalName(YamlMap spec)
    {
        var name = spec.Text("externalName", required: true)?.TrimEnd('.').ToLowerInvariant();
        if (name is not null && !Names.IsSubdomain(name))
        {
            spec.Bad("externalName", name, Names.SubdomainRule);
        }

        return name;
    }

    private static ImmutableArray<ServicePortManifest> ReadPorts(YamlMap spec, bool needed)
    {
        var result = ImmutableArray.CreateBuilder<ServicePortManifest>();
        var ports = spec.Maps("ports");
        var names = new HashSet<string>(StringComparer.Ordinal);
        var numbers = new HashSet<(int?, string?)>();
        if (ports.Count == 0 && needed)
        {
            spec.Missing("ports", "Add at least one port.");
        }

        foreach (var port in ports)
        {
            var name = port.Text("name");
            if (name is null && ports.Count > 1)
            {
                port.Missing("name", "Every port of a Service with several ports needs one.");
            }
            else if (name is not null && !Names.IsLabel(name))
            {
                port.Bad("name", name, Names.LabelRule);
            }
            else if (!names.Add(name ?? string.Empty) && name is not null)
            {
                port.Bad("name", name, "Another port has that name: give each its own.");
            }

            var number = port.Integer("port", 1, 65535, required: true);
            var protocol = port.Word("protocol", "TCP", "TCP", "UDP", "SCTP");
            if (number is not null && protocol is not null && !numbers.Add((number, protocol)))
            {
                port.Bad("port", number.Value.ToString(CultureInfo.InvariantCulture), "Another port of this Service has that number: give each its own.");
            }

            var target = ReadTargetPort(port);
            var appProtocol = port.Text("appProtocol");
            port.Integer("nodePort", 1, 65535);
            port.Close();
            if (number is not null && protocol == "TCP")
            {
                result.Add(new ServicePortManifest(name ?? string.Empty, number.Value, target, appProtocol));
            }
        }

        return result.ToImmutable();
    }

    private static string? ReadTargetPort(YamlMap port)
    {
        if (port.Find("targetPort") is not { } value)
        {
            return null;
        }

        if (value.Value is { } text)
        {
            var valid = value.Plain is not null && int.TryParse(text, CultureInfo.InvariantCulture, out var number)
                ? number is >= 1 and <= 65535
                : Names.IsPortName(text);
            if (valid)
            {
                return text;
            }
        }

        port.Problems.Refuse(value, $"{port.Field("targetPort")} is {YamlMap.Show(value)}. Use a number from 1 to 65535 or a container port's name. {Names.PortNameRule}");
        return null;
    }

    private static ImmutableArray<string> ReadClusterIps(YamlMap spec)
    {
        var result = ImmutableArray.CreateBuilder<string>();
        var texts = spec.Texts("clusterIPs").ToList();
        if (spec.Text("clusterIP") is { Length: > 0 } single)
        {
            texts.Insert(0, (single, spec.Find("clusterIP")!.Value, spec.Field("clusterIP")));
        }

        foreach (var (text, node, path) in texts)
        {
            if (text == "None")
            {
                continue; // Headless: our callers find the endpoints by name all the same.
            }

            if (Names.AddressProblem(text, null) is { } problem)
            {
                spec.Problems.Refuse(node, $"{path} is '{text}', which {problem}");
            }
            else if (!result.Contains(Names.Canonical(text)))
            {
                result.Add(Names.Canonical(text));
            }
        }

        return result.ToImmutable();
    }
}
