using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Mesh.Testing.Kubernetes.Schemas;

/// <summary>A CustomResourceDefinition as the API server checks it.</summary>
internal static partial class DefinitionCheck
{
    public static List<FieldError> Check(JsonObject definition)
    {
        var errors = new List<FieldError>();
        var (group, plural, kind) = (definition.Text("spec", "group"), definition.Text("spec", "names", "plural"), definition.Text("spec", "names", "kind"));
        Required("spec.group", group);
        Required("spec.names.plural", plural);
        Required("spec.names.kind", kind);
        if (definition.Text("spec", "scope") is var scope and not ("Namespaced" or "Cluster"))
        {
            errors.Add(scope == "" ? FieldError.Required("spec.scope") : FieldError.NotSupported("spec.scope", scope, ["\"Cluster\"", "\"Namespaced\""]));
        }

        if (definition.Name() != $"{plural}.{group}")
        {
            errors.Add(FieldError.Invalid("metadata.name", definition.Name(), "must be spec.names.plural+\".\"+spec.group"));
        }

        if (group.EndsWith(".k8s.io", StringComparison.Ordinal) && definition.Text("metadata", "annotations", "api-approved.kubernetes.io") == "")
        {
            errors.Add(FieldError.Required("metadata.annotations[api-approved.kubernetes.io]", "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111"));
        }

        Versions(definition.Items("spec", "versions").OfType<JsonObject>().ToList(), errors);
        return errors;

        void Required(string path, string value)
        {
            if (value == "")
            {
                errors.Add(FieldError.Required(path));
            }
        }
    }

    private static void Versions(List<JsonObject> versions, List<FieldError> errors)
    {
        if (versions.Count(v => (bool?)v["storage"] == true) != 1)
        {
            errors.Add(FieldError.Invalid("spec.versions", versions.Count, "must have exactly one version marked as storage version"));
        }

        for (var i = 0; i < versions.Count; i++)
        {
            var (version, path) = (versions[i], $"spec.versions[{i}]");
            if (!DnsLabel().IsMatch(version.Text("name")))
            {
                errors.Add(FieldError.Invalid($"{path}.name", version.Text("name"), "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character"));
            }

            if (version["served"] is null)
            {
                errors.Add(FieldError.Required($"{path}.served"));
            }

            if (version.At("schema", "openAPIV3Schema") is JsonObject schema)
            {
                errors.AddRange(StructuralSchema.Check(schema, $"{path}.schema.openAPIV3Schema"));
            }
            else
            {
                errors.Add(FieldError.Required($"{path}.schema.openAPIV3Schema", "schemas are required"));
            }

            for (var c = 0; c < version.Items("additionalPrinterColumns").Count(); c++)
            {
                Column(version.Items("additionalPrinterColumns").ElementAt(c), $"{path}.additionalPrinterColumns[{c}]", errors);
            }
        }
    }

    private static void Column(JsonNode? column, string path, List<FieldError> errors)
    {
        if (column.Text("name") == "")
        {
            errors.Add(FieldError.Required($"{path}.name"));
        }

        if (column.Text("type") is var type and not ("integer" or "number" or "string" or "boolean" or "date"))
        {
            errors.Add(type == "" ? FieldError.Required($"{path}.type", "must be one of boolean,date,integer,number,string") : FieldError.Invalid($"{path}.type", type, "must be one of boolean,date,integer,number,string"));
        }

        if (!column.Text("jsonPath").StartsWith('.'))
        {
            errors.Add(FieldError.Invalid($"{path}.jsonPath", column.Text("jsonPath"), "must be a simple json path starting with ."));
        }
    }

    [GeneratedRegex("^[a-z]([-a-z0-9]*[a-z0-9])?$")]
    private static partial Regex DnsLabel();
}
