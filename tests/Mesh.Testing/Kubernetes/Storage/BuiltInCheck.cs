using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Mesh.Testing.Kubernetes.Storage;

/// <summary>Mistakes in built-in kinds that a mesh's own manifests could make. Not all that a real server finds.</summary>
internal static partial class BuiltInCheck
{
    public static List<FieldError> Check(KubeResource resource, JsonObject? old, JsonObject json)
    {
        var errors = new List<FieldError>();
        switch (resource.Qualified)
        {
            case "services":
                Service(old, json, errors);
                break;
            case "pods":
                PodSpec(json["spec"], "spec", errors);
                break;
            case "deployments.apps" or "replicasets.apps" or "daemonsets.apps" or "statefulsets.apps":
                Workload(json, errors);
                break;
            case "rolebindings.rbac.authorization.k8s.io" or "clusterrolebindings.rbac.authorization.k8s.io":
                Immutable(old, json, "roleRef", "cannot change roleRef", errors);
                break;
            case "secrets":
                Immutable(old, json, "type", "field is immutable", errors);
                Data(json, errors);
                break;
            case "mutatingwebhookconfigurations.admissionregistration.k8s.io" or "validatingwebhookconfigurations.admissionregistration.k8s.io":
                Webhooks(json, errors);
                break;
            case "leases.coordination.k8s.io" when json.At("spec", "leaseDurationSeconds").Long() <= 0:
                errors.Add(FieldError.Invalid("spec.leaseDurationSeconds", json.At("spec", "leaseDurationSeconds")?.DeepClone(), "must be greater than 0"));
                break;
        }

        return errors;
    }

    private static void Service(JsonObject? old, JsonObject json, List<FieldError> errors)
    {
        var ports = json.Items("spec", "ports").ToList();
        var names = new HashSet<string>();
        for (var i = 0; i < ports.Count; i++)
        {
            var name = ports[i].Text("name");
            if (name == "" ? ports.Count > 1 : !Label().IsMatch(name))
            {
                errors.Add(name == "" ? FieldError.Required($"spec.ports[{i}].name") : FieldError.Invalid($"spec.ports[{i}].name", name, "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"));
            }
            else if (!names.Add(name))
            {
                errors.Add(new FieldError($"spec.ports[{i}].name", "FieldValueDuplicate", $"Duplicate value: \"{name}\""));
            }

            if (ports[i].At("port").Long() is not (>= 1 and <= 65535))
            {
                errors.Add(FieldError.Invalid($"spec.ports[{i}].port", ports[i].At("port")?.DeepClone(), "must be between 1 and 65535, inclusive"));
            }
        }

        if (ports.Count == 0 && json.Text("spec", "clusterIP") != "None" && json.Text("spec", "type") != "ExternalName")
        {
            errors.Add(FieldError.Required("spec.ports"));
        }

        if (old.Text("spec", "clusterIP") is { Length: > 0 } address && old.Text("spec", "type") == json.Text("spec", "type") && json.Text("spec", "clusterIP") != address)
        {
            errors.Add(FieldError.Invalid("spec.clusterIPs[0]", json.At("spec", "clusterIP")?.DeepClone(), "may not change once set"));
        }
    }

    private static void Workload(JsonObject json, List<FieldError> errors)
    {
        if (!Selectors.MatchLabels(json.At("spec", "selector"), json.At("spec", "template", "metadata", "labels")))
        {
            errors.Add(FieldError.Invalid("spec.template.metadata.labels", json.At("spec", "template", "metadata", "labels")?.DeepClone(), "`selector` does not match template `labels`"));
        }

        PodSpec(json.At("spec", "template", "spec"), "spec.template.spec", errors);
    }

    private static void PodSpec(JsonNode? spec, string path, List<FieldError> errors)
    {
        if (!spec.Items("containers").Any())
        {
            errors.Add(FieldError.Required($"{path}.containers"));
        }

        var names = new HashSet<string>();
        var volumes = spec.Items("volumes").Select(v => v.Text("name")).ToHashSet();
        foreach (var list in (string[])["initContainers", "containers"])
        {
            var i = 0;
            foreach (var container in spec.Items(list))
            {
                var where = $"{path}.{list}[{i++}]";
                if (!Label().IsMatch(container.Text("name")))
                {
                    errors.Add(FieldError.Required($"{where}.name"));
                }
                else if (!names.Add(container.Text("name")))
                {
                    errors.Add(new FieldError($"{where}.name", "FieldValueDuplicate", $"Duplicate value: \"{container.Text("name")}\""));
                }

                if (container.Text("image") == "")
                {
                    errors.Add(FieldError.Required($"{where}.image"));
                }

                var mounts = container.Items("volumeMounts").ToList();
                for (var m = 0; m < mounts.Count; m++)
                {
                    if (!volumes.Contains(mounts[m].Text("name")))
                    {
                        errors.Add(new FieldError($"{where}.volumeMounts[{m}].name", "FieldValueNotFound", $"Not found: \"{mounts[m].Text("name")}\""));
                    }
                }
            }
        }
    }

    private static void Data(JsonObject json, List<FieldError> errors)
    {
        foreach (var key in (string[])["tls.crt", "tls.key"])
        {
            if (json.Text("type") == "kubernetes.io/tls" && json.At("data", key) is null)
            {
                errors.Add(FieldError.Required($"data[{key}]"));
            }
        }
    }

    private static void Webhooks(JsonObject json, List<FieldError> errors)
    {
        var i = 0;
        foreach (var webhook in json.Items("webhooks"))
        {
            var where = $"webhooks[{i++}]";
            if (webhook.Text("name").Split('.').Length < 3)
            {
                errors.Add(FieldError.Invalid($"{where}.name", webhook.Text("name"), "should be a domain with at least three segments separated by dots"));
            }

            if (webhook.Text("sideEffects") is not ("None" or "NoneOnDryRun"))
            {
                errors.Add(webhook.Text("sideEffects") == "" ? FieldError.Required($"{where}.sideEffects", "must specify one of None, NoneOnDryRun") : FieldError.NotSupported($"{where}.sideEffects", webhook.Text("sideEffects"), ["\"None\"", "\"NoneOnDryRun\""]));
            }

            if (!webhook.Texts("admissionReviewVersions").Contains("v1"))
            {
                errors.Add(FieldError.Required($"{where}.admissionReviewVersions", "must specify one of v1, v1beta1"));
            }

            if ((webhook.At("clientConfig", "url") is null) == (webhook.At("clientConfig", "service") is null))
            {
                errors.Add(FieldError.Required($"{where}.clientConfig", "exactly one of url or service is required"));
            }

            if (webhook.At("matchConditions") is JsonArray { Count: > 0 })
            {
                // CEL, which nothing here evaluates: refused rather than ignored.
                errors.Add(FieldError.Forbidden($"{where}.matchConditions", "this fake evaluates none"));
            }

            if (webhook.Text("clientConfig", "caBundle") is { Length: > 0 } bundle && !IsPem(bundle))
            {
                errors.Add(FieldError.Invalid($"{where}.clientConfig.caBundle", null, "unable to load root certificates: unable to parse bytes as PEM block"));
            }
        }
    }

    private static bool IsPem(string base64)
    {
        var bytes = new byte[base64.Length];
        return Convert.TryFromBase64String(base64, bytes, out var length) && System.Text.Encoding.UTF8.GetString(bytes, 0, length).Contains("-----BEGIN CERTIFICATE-----", StringComparison.Ordinal);
    }

    private static void Immutable(JsonObject? old, JsonObject json, string field, string why, List<FieldError> errors)
    {
        if (old is not null && !JsonNode.DeepEquals(old[field], json[field]))
        {
            errors.Add(FieldError.Invalid(field, json[field]?.DeepClone(), why));
        }
    }

    [GeneratedRegex("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    private static partial Regex Label();
}
