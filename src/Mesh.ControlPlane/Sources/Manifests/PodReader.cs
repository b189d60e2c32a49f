using System.Collections.Immutable;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads a Pod (v1): who it runs as, where it is, whether it is ready, what its node asks it.</summary>
internal static class PodReader
{
    public static Manifest? Read(YamlMap root, ManifestKey key, ObjectMeta meta)
    {
        var where = root.Where;
        var spec = root.Map("spec", required: true);
        if (spec is null)
        {
            return null;
        }

        // The API server fills in the account 'default'.
        var account = spec.Text("serviceAccountName") ?? spec.Text("serviceAccount") ?? "default";
        if (!Names.IsSubdomain(account))
        {
            spec.Bad("serviceAccountName", account, Names.SubdomainRule);
        }

        var ports = ImmutableArray.CreateBuilder<ContainerPortManifest>();
        var containers = spec.Maps("containers");
        if (containers.Count == 0)
        {
            spec.Missing("containers", "Add at least one container.");
        }

        foreach (var container in containers)
        {
            ReadContainer(container, ports);
        }

        CheckSpelling(spec, "serviceAccountName", "containers");
        var (addresses, ready) = ReadStatus(root);
        // Sidecars that start first have probes of their own.
        var probes = containers.Concat(spec.Find("initContainers") is null ? [] : spec.Maps("initContainers")).SelectMany(c => ProbeReader.Read(c, ports));
        return new PodManifest(key, where, account, addresses, ready, meta.Labels, ports.ToImmutable())
        {
            Probes = [.. probes.Distinct()],
            NodeName = spec.Text("nodeName") ?? string.Empty,
            Hostname = spec.Text("hostname") ?? string.Empty,
            Subdomain = spec.Text("subdomain") ?? string.Empty,
            Terminating = meta.Deleting,
            Mark = PodMark.Read(meta.Annotations),
            TapDisabled = meta.TapDisabled,
            MarkText = meta.Annotations.GetValueOrDefault(PodMark.Annotation),
        };
    }

    private static void ReadContainer(YamlMap container, ImmutableArray<ContainerPortManifest>.Builder ports)
    {
        container.Text("name", required: true);
        CheckSpelling(container, "name", "ports", "livenessProbe", "readinessProbe", "startupProbe");
        foreach (var port in container.Maps("ports"))
        {
            var name = port.Text("name");
            if (name is not null && !Names.IsPortName(name))
            {
                port.Bad("name", name, Names.PortNameRule);
            }

            var number = port.Integer("containerPort", 1, 65535, required: true);
            port.Word("protocol", "TCP", "TCP", "UDP", "SCTP");
            port.Ignore("hostPort", "hostIP");
            port.Close();
            if (number is not null)
            {
                ports.Add(new ContainerPortManifest(name ?? string.Empty, number.Value));
            }
        }
    }

    /// <summary>Most of a Pod (volumes, scheduling) is not read and not judged; only what looks like one of our fields is.</summary>
    private static void CheckSpelling(YamlMap map, params string[] ours)
    {
        foreach (var (field, _) in map.Problems.Lenient ? [] : map.Node.Fields)
        {
            var name = field.Value ?? string.Empty;
            if (Array.IndexOf(ours, name) < 0 && Suggestion.For(name, ours) is { Length: > 0 } near)
            {
                map.Problems.Refuse(field, $"{map.Field(name)} is not a field.{near} Correct or remove it.");
            }
        }
    }

    private static (ImmutableArray<string> Addresses, bool Ready) ReadStatus(YamlMap root)
    {
        var status = root.Map("status");
        if (status is null)
        {
            return ([], true);
        }

        var addresses = ImmutableArray.CreateBuilder<string>();
        AddAddress(status, "podIP", addresses);
        foreach (var other in status.Maps("podIPs"))
        {
            AddAddress(other, "ip", addresses);
        }

        // One that is over keeps its address in its status; another may have it by now.
        if (status.Text("phase") is "Succeeded" or "Failed")
        {
            addresses.Clear();
        }

        var ready = true;
        foreach (var condition in status.Maps("conditions"))
        {
            if (condition.Text("type") == "Ready")
            {
                ready = condition.Word("status", null, "True", "False", "Unknown") == "True";
            }
        }

        return (addresses.ToImmutable(), ready);
    }

    private static void AddAddress(YamlMap map, string field, ImmutableArray<string>.Builder addresses)
    {
        if (map.Text(field) is not { Length: > 0 } address)
        {
            return;
        }

        if (Names.AddressProblem(address, null) is { } problem)
        {
            map.Problems.Refuse(map.Find(field)!.Value, $"{map.Field(field)} is '{address}', which {problem}");
        }
        else if (!addresses.Contains(Names.Canonical(address)))
        {
            addresses.Add(Names.Canonical(address));
        }
    }
}
