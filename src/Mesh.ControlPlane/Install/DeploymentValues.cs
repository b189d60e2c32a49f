using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Install;

/// <summary>Puts values into the Deployment.</summary>
internal static class DeploymentValues
{
    private const string ClaimName = "mesh-telemetry";

    public static JsonObject Apply(JsonObject deployment, InstallValues values)
    {
        var spec = (JsonObject)deployment["spec"]!;
        spec["replicas"] = values.Number("controlPlane.replicas");
        var template = (JsonObject)spec["template"]!;
        var annotations = (JsonObject)template["metadata"]!["annotations"]!;
        foreach (var (key, value) in values.Map("controlPlane.podAnnotations"))
        {
            annotations[key] = value?.DeepClone();
        }

        var pod = (JsonObject)template["spec"]!;
        pod["nodeSelector"] = values.Map("controlPlane.nodeSelector");
        if (values.Objects("controlPlane.tolerations") is { Count: > 0 } tolerations)
        {
            pod["tolerations"] = tolerations;
        }

        if (values.Text("controlPlane.priorityClassName") is { Length: > 0 } priority)
        {
            pod["priorityClassName"] = priority;
        }

        if (values.Texts("imagePullSecrets") is { Count: > 0 } secrets)
        {
            pod["imagePullSecrets"] = new JsonArray([.. secrets.Select(s => (JsonNode)new JsonObject { ["name"] = s })]);
        }

        if (values.IsHa)
        {
            SpreadStrictly(spec, pod);
        }

        var container = (JsonObject)pod["containers"]![0]!;
        var registry = values.Text("registry").TrimEnd('/');
        container["image"] = $"{(registry.Length > 0 ? registry + "/" : string.Empty)}{values.Text("controlPlane.image")}:{values.Version}";
        container["imagePullPolicy"] = values.Text("controlPlane.imagePullPolicy");
        container["args"] = new JsonArray([.. Arguments(values).Select(a => (JsonNode)a)]);
        container["resources"] = Resources(values);
        if (HasVolume(values))
        {
            KeepOnVolume(spec, pod, values);
        }

        return deployment;
    }

    /// <summary>The claim that one replica keeps its measurements on.</summary>
    public static IEnumerable<JsonObject> Claims(InstallValues values) => !HasVolume(values) || values.Number("controlPlane.replicas") > 1 ? [] :
    [
        new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "PersistentVolumeClaim",
            ["metadata"] = new JsonObject { ["name"] = ClaimName, ["namespace"] = InstallManifest.Namespace },
            ["spec"] = ClaimSpec(values),
        },
    ];

    private static bool HasVolume(InstallValues values) => values.Text("telemetry.storage") == "disk";

    private static JsonObject ClaimSpec(InstallValues values)
    {
        var spec = new JsonObject { ["accessModes"] = new JsonArray("ReadWriteOnce"), ["resources"] = new JsonObject { ["requests"] = new JsonObject { ["storage"] = values.Text("telemetry.volumeSize") } } };
        if (values.Text("telemetry.storageClass") is { Length: > 0 } storageClass)
        {
            spec["storageClassName"] = storageClass;
        }

        return spec;
    }

    private static void KeepOnVolume(JsonObject spec, JsonObject pod, InstallValues values)
    {
        var data = ((JsonArray)pod["volumes"]!).OfType<JsonObject>().Single(v => v["name"]!.GetValue<string>() == "data");
        data.Remove("emptyDir");
        if (values.Number("controlPlane.replicas") > 1)
        {
            data["ephemeral"] = new JsonObject { ["volumeClaimTemplate"] = new JsonObject { ["spec"] = ClaimSpec(values) } };
            return;
        }

        data["persistentVolumeClaim"] = new JsonObject { ["claimName"] = ClaimName };
        // One pod at a time has the volume.
        spec["strategy"] = new JsonObject { ["type"] = "Recreate" };
    }

    /// <summary>One lost node takes one replica.</summary>
    private static void SpreadStrictly(JsonObject spec, JsonObject pod)
    {
        var anti = (JsonObject)pod["affinity"]!["podAntiAffinity"]!;
        var term = ((JsonArray)anti["preferredDuringSchedulingIgnoredDuringExecution"]!)[0]!["podAffinityTerm"]!.DeepClone();
        var zone = (JsonObject)term.DeepClone();
        zone["topologyKey"] = "topology.kubernetes.io/zone";
        anti["requiredDuringSchedulingIgnoredDuringExecution"] = new JsonArray(term);
        anti["preferredDuringSchedulingIgnoredDuringExecution"] = new JsonArray(new JsonObject { ["weight"] = 100, ["podAffinityTerm"] = zone });
        // With as many nodes as replicas a new one has no node before an old one is gone.
        spec["strategy"]!["rollingUpdate"] = new JsonObject { ["maxUnavailable"] = 1, ["maxSurge"] = 1 };
    }

    private static IEnumerable<string> Arguments(InstallValues values)
    {
        yield return "--kubernetes";
        yield return "--data=/var/lib/mesh";
        yield return $"--address={values.Text("controlPlane.address")}";
        yield return $"--issuer-secret={values.Text("identity.issuerSecret")}";
        yield return $"--trust-domain={values.Text("trustDomain")}";
        yield return $"--cluster-domain={values.Text("clusterDomain")}";
        yield return $"--leaf-life={values.Text("identity.leafLife")}";
        yield return $"--ca-key={values.Text("identity.caKey")}";
        yield return $"--mtls={values.Text("policy.mtls")}";
        yield return $"--access={values.Text("policy.access")}";
        if (values.Texts("clusterNetworks") is { Count: > 0 } networks)
        {
            yield return $"--cluster-networks={string.Join(',', networks)}";
        }

        if (HasVolume(values))
        {
            yield return "--telemetry-storage=disk";
        }

        if (values.Number("telemetry.maxMegabytes") is var megabytes and not 64)
        {
            yield return $"--telemetry-max-mb={megabytes}";
        }

        if (values.Text("telemetry.prometheus") is { Length: > 0 } prometheus)
        {
            yield return $"--prometheus={prometheus}";
        }
    }

    private static JsonObject Resources(InstallValues values)
    {
        var resources = new JsonObject();
        foreach (var (kind, suffix) in new[] { ("requests", "Request"), ("limits", "Limit") })
        {
            var amounts = new JsonObject();
            foreach (var resource in new[] { "cpu", "memory" })
            {
                if (values.Text($"controlPlane.{resource}{suffix}") is { Length: > 0 } amount)
                {
                    amounts[resource] = amount;
                }
            }

            if (amounts.Count > 0)
            {
                resources[kind] = amounts;
            }
        }

        return resources;
    }
}
