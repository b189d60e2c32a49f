using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Mesh.Testing.Kubernetes;

/// <summary>Which objects a list or watch is about: its namespace, name, labels and fields.</summary>
internal sealed partial class Selectors
{
    private readonly string _namespace;
    private readonly string _name;
    private readonly List<Func<JsonObject, bool>> _terms = [];

    public Selectors(KubeResource resource, string ns, string name, string labels, string fields)
    {
        (_namespace, _name) = (ns, name);
        foreach (var term in Split(labels))
        {
            _terms.Add(LabelTerm(term));
        }

        foreach (var term in Split(fields))
        {
            _terms.Add(FieldTerm(resource, term));
        }

        IsEmpty = _terms.Count == 0 && name == "";
    }

    public bool IsEmpty { get; }

    public bool Match(JsonObject json) =>
        (_namespace == "" || json.Namespace() == _namespace) && (_name == "" || json.Name() == _name) && _terms.TrueForAll(term => term(json));

    /// <summary>A label selector inside an object (matchLabels, matchExpressions); an empty one matches everything, a missing one nothing.</summary>
    public static bool MatchLabels(JsonNode? selector, JsonNode? labels)
    {
        if (selector is not JsonObject)
        {
            return false;
        }

        foreach (var (name, value) in selector["matchLabels"] as JsonObject ?? [])
        {
            if (labels.At(name) is null || labels.Text(name) != value.Text())
            {
                return false;
            }
        }

        return selector.Items("matchExpressions").All(e => Expression(labels, e.Text("key"), e.Text("operator"), [.. e.Texts("values")]));
    }

    private static bool Expression(JsonNode? labels, string key, string op, IReadOnlyCollection<string> values) => op switch
    {
        "In" => labels.At(key) is not null && values.Contains(labels.Text(key)),
        "NotIn" => labels.At(key) is null || !values.Contains(labels.Text(key)),
        "Exists" => labels.At(key) is not null,
        "DoesNotExist" => labels.At(key) is null,
        _ => throw StatusException.BadRequest($"\"{op}\" is not a valid label selector operator"),
    };

    private static Func<JsonObject, bool> LabelTerm(string term)
    {
        var (key, op, values) = SetBased().Match(term) switch
        {
            { Success: true } set => (set.Groups[1].Value, set.Groups[2].Value == "in" ? "In" : "NotIn", set.Groups[3].Value.Split(',').Select(v => v.Trim()).ToArray()),
            _ when Equality().Match(term) is { Success: true } equal => (equal.Groups[1].Value, equal.Groups[2].Value == "!=" ? "NotIn" : "In", [equal.Groups[3].Value]),
            _ when Presence().Match(term) is { Success: true } present => (present.Groups[2].Value, present.Groups[1].Value == "!" ? "DoesNotExist" : "Exists", Array.Empty<string>()),
            _ => throw StatusException.BadRequest($"unable to parse requirement: found '{term}', expected: identifier"),
        };
        return json => Expression(json.At("metadata", "labels"), key, op, values);
    }

    private static Func<JsonObject, bool> FieldTerm(KubeResource resource, string term)
    {
        var match = Equality().Match(term);
        var path = match.Groups[1].Value;
        if (!match.Success)
        {
            throw StatusException.BadRequest($"invalid selector: '{term}'; can't understand '{term}'");
        }

        if (!Selectable(resource).Contains(path))
        {
            throw StatusException.BadRequest($"Unable to find \"{resource.ApiVersion(resource.StorageVersion)}, Resource={resource.Plural}\" that match label selector \"\", field selector \"{term}\": field label not supported: {path}");
        }

        var names = path.Split('.');
        var (wanted, not) = (match.Groups[3].Value, match.Groups[2].Value == "!=");
        return json => (ValueText(json.At(names)) == wanted) != not;
    }

    private static string ValueText(JsonNode? node) => node switch
    {
        null => "",
        JsonValue value when value.GetValueKind() == System.Text.Json.JsonValueKind.String => value.GetValue<string>(),
        _ => node.ToJsonString(),
    };

    private static IEnumerable<string> Selectable(KubeResource resource)
    {
        string[] more = resource.Qualified switch
        {
            "pods" => ["spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"],
            "events" => ["involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"],
            "events.events.k8s.io" => ["regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "reason", "type", "reportingController"],
            "services" => ["spec.clusterIP", "spec.type"],
            "secrets" => ["type"],
            "nodes" => ["spec.unschedulable"],
            "namespaces" => ["status.phase"],
            "replicasets.apps" => ["status.replicas"],
            "jobs.batch" => ["status.successful"],
            _ => [],
        };
        var declared = resource.Definition is null
            ? []
            : resource.Versions.SelectMany(v => resource.VersionOf(v).Items("selectableFields")).Select(f => f.Text("jsonPath").TrimStart('.'));
        return ["metadata.name", .. resource.Namespaced ? ["metadata.namespace"] : Array.Empty<string>(), .. more, .. declared];
    }

    /// <summary>At commas, but not those in parentheses.</summary>
    private static IEnumerable<string> Split(string selector)
    {
        var (depth, start) = (0, 0);
        for (var i = 0; i <= selector.Length; i++)
        {
            if (i == selector.Length || (selector[i] == ',' && depth == 0))
            {
                if (selector[start..i].Trim() is { Length: > 0 } term)
                {
                    yield return term;
                }

                start = i + 1;
            }
            else
            {
                depth += selector[i] switch { '(' => 1, ')' => -1, _ => 0 };
            }
        }
    }

    [GeneratedRegex(@"^([\w./-]+)\s+(in|notin)\s*\(([^)]*)\)$")]
    private static partial Regex SetBased();

    [GeneratedRegex(@"^([\w./-]+)\s*(==|=|!=)\s*([^\s,=]*)$")]
    private static partial Regex Equality();

    [GeneratedRegex(@"^(!?)\s*([\w./-]+)$")]
    private static partial Regex Presence();
}
