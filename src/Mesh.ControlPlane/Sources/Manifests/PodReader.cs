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
        var (address, ready) = ReadStatus(root);
        // Sidecars that start first have probes of their own.
        var probes = containers.Concat(spec.Find("initContainers") is null ? [] : spec.Maps("initContainers")).SelectMany(c => ProbeReader.Read(c, ports));
        return new PodManifest(key, where, account, address, ready, meta.Labels, ports.ToImmutable()) { Probes = [.. probes.Distinct()] };
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
        foreach (var (field, _) in map.Node.Children)
        {
            var name = field.ToString();
            if (Array.IndexOf(ours, name) < 0 && Suggestion.For(name, ours) is { Length: > 0 } near)
            {
                map.Problems.Refuse(field, $"{map.Field(name)} is not a field.{near} Correct or remove it.");
            }
        }
    }

    private static (string? Address, bool Ready) ReadStatus(YamlMap root)
    {
        var status = root.Map("status");
        if (status is null)
        {
            return (null, true);
        }

        var address = status.Text("podIP");
        if (address is { Length: 0 })
        {
            address = null;
        }

        if (address is not null && Names.AddressProblem(address, null) is { } problem)
        {
            status.Problems.Refuse(status.Find("podIP")!, $"{status.Field("podIP")} is '{address}', which {problem}");
            address = null;
        }

        var ready = true;
        foreach (var condition in status.Maps("conditions"))
        {
            if (condition.Text("type") == "Ready")
            {
                ready = condition.Word("status", null, "True", "False", "Unknown") == "True";
            }
        }

        return (address is null ? null : Names.Canonical(address), ready);
    }
}
