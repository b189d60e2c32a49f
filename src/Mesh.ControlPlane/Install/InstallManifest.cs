using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Install;

/// <summary>What <c>mesh install</c> prints: the embedded manifests with the values put in. Pure: the same values give the same objects.</summary>
internal static class InstallManifest
{
    /// <summary>On everything that is installed, so that it is found again.</summary>
    public const string ManagedByLabel = "app.kubernetes.io/managed-by";
    public const string ManagedBy = "mesh-install";
    public const string VersionLabel = "app.kubernetes.io/version";
    public const string Namespace = "mesh-system";
    public const string Name = "mesh-control-plane";
    public const string ConfigMap = "mesh-config";
    public const string ValuesKey = "values.yaml";
    public const string PolicyGroup = "policy.meshlib.io";

    public static IEnumerable<JsonObject> Crds(InstallValues values) => DeployFiles.Crds.Select(c => Labelled(c, values));

    /// <summary>The control plane, in the order in which it is to be applied: webhooks come when there is somebody to answer them.</summary>
    public static IEnumerable<JsonObject> ControlPlane(InstallValues values)
    {
        IEnumerable<JsonObject> all =
        [
            .. DeployFiles.Read("namespace.yaml"),
            .. DeployFiles.Read("rbac.yaml").Select(o => Access(o, values)),
            Config(values),
            .. DeployFiles.Read("service.yaml"),
            .. DeployFiles.Read("disruption-budget.yaml"),
            .. values.Flag("networkPolicy.enabled") ? DeployFiles.Read("network-policy.yaml") : [],
            .. DeploymentValues.Claims(values),
            .. DeployFiles.Read("deployment.yaml").Select(d => DeploymentValues.Apply(d, values)),
            .. DeployFiles.Read("webhooks.yaml").Select(w => Webhooks(w, values)),
        ];
        return all.Select(o => Labelled(o, values));
    }

    /// <summary>One text for <c>kubectl apply -f -</c>.</summary>
    /// <param name="command">What a person would type to get it again.</param>
    public static string ToText(IEnumerable<JsonObject> objects, string command) =>
        $"# Made by '{command}' (mesh {InstallCatalogue.OwnVersion}). Do not edit: give values to the command instead; 'mesh install --list-values' shows them.\n"
        + string.Concat(objects.Select(o => "---\n" + YamlJson.Write(o)));

    private static JsonObject Config(InstallValues values)
    {
        var given = values.Given();
        given.Remove("version");
        given.Insert(0, "version", values.Version);
        return new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "ConfigMap",
            ["metadata"] = new JsonObject { ["name"] = ConfigMap, ["namespace"] = Namespace },
            ["data"] = new JsonObject { [ValuesKey] = YamlJson.Write(given) },
        };
    }

    private static JsonObject Labelled(JsonObject item, InstallValues values)
    {
        var meta = (JsonObject)item["metadata"]!;
        var labels = new JsonObject { ["app.kubernetes.io/part-of"] = "mesh", [ManagedByLabel] = ManagedBy, [VersionLabel] = values.Version };
        foreach (var (key, value) in meta["labels"] as JsonObject ?? [])
        {
            labels[key] = value?.DeepClone();
        }

        meta["labels"] = labels;
        return item;
    }

    /// <summary>Names the kinds of our group, and the issuer's Secret.</summary>
    private static JsonObject Access(JsonObject item, InstallValues values)
    {
        foreach (var rule in (item["rules"] as JsonArray ?? []).OfType<JsonObject>())
        {
            NameKinds(rule);
            if (rule["resourceNames"] is JsonArray names && names.Any(n => n!.GetValue<string>() == "mesh-issuer"))
            {
                rule["resourceNames"] = new JsonArray(values.Text("identity.issuerSecret"));
            }
        }

        return item;
    }

    private static JsonObject Webhooks(JsonObject item, InstallValues values)
    {
        foreach (var webhook in ((JsonArray)item["webhooks"]!).OfType<JsonObject>())
        {
            webhook["timeoutSeconds"] = values.Number("webhooks.timeoutSeconds");
            if (webhook["name"]!.GetValue<string>() != "routes.meshlib.io")
            {
                webhook["failurePolicy"] = values.Text("webhooks.failurePolicy");
            }

            foreach (var rule in ((JsonArray)webhook["rules"]!).OfType<JsonObject>())
            {
                NameKinds(rule);
            }

            if (webhook["namespaceSelector"]!["matchExpressions"]![0] is JsonObject names && names["key"]!.GetValue<string>() == "kubernetes.io/metadata.name")
            {
                names["values"] = new JsonArray([.. names["values"]!.AsArray().Select(v => v!.GetValue<string>()).Union(values.Texts("injector.excludedNamespaces")).Select(v => (JsonNode)v)]);
            }
        }

        return item;
    }

    private static void NameKinds(JsonObject rule)
    {
        if (rule["apiGroups"] is JsonArray groups && groups.Any(g => g!.GetValue<string>() == PolicyGroup))
        {
            rule["resources"] = new JsonArray([.. rule["resources"]!.AsArray().Select(r => r!.GetValue<string>())
                .SelectMany(r => r[0] == '*' ? DeployFiles.Plurals.Select(p => (JsonNode)(p + r[1..])) : [r])]);
        }
    }
}
