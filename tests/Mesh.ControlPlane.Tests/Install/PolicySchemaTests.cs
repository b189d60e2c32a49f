using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Sources.Manifests.Policies;
using Xunit;

namespace Mesh.ControlPlane.Tests.Install;

/// <summary>The schemas of deploy/crds say what the readers take: what a schema takes wrongly is named here.</summary>
public sealed partial class PolicySchemaTests
{
    public static TheoryData<string> Kinds => [.. Crds.ByKind.Keys.Order(StringComparer.Ordinal)];

    [Fact]
    public void EveryKind_HasItsFile()
    {
        string[] kinds = [.. PolicyKinds.All.Select(k => k.Name), FilterReader.DirectResponseKind];

        Assert.Equal(kinds.Order(StringComparer.Ordinal), Crds.ByKind.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(DeployFiles.CrdNames, Crds.ByKind.Values.Select(c => $"deploy/crds/{c["spec"]!["names"]!["plural"]}.yaml").Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Names_AreOfTheGroup(string kind)
    {
        var (crd, spec) = (Crds.ByKind[kind], Crds.ByKind[kind]["spec"]!);
        Assert.Equal($"{spec["names"]!["plural"]}.policy.meshlib.io", crd["metadata"]!["name"]!.GetValue<string>());
        Assert.Equal(PolicyKind.ApiVersion, $"{spec["group"]}/{spec["versions"]![0]!["name"]}");
        Assert.Equal(kind.ToLowerInvariant(), spec["names"]!["singular"]!.GetValue<string>());
        Assert.Equal(kind + "List", spec["names"]!["listKind"]!.GetValue<string>());
        Assert.NotEmpty(spec["names"]!["shortNames"]!.AsArray());
        Assert.Contains("mesh", spec["names"]!["categories"]!.AsArray().Select(c => c!.GetValue<string>()));
        Assert.NotNull(spec["versions"]![0]!["subresources"]!["status"]);
        string[] columns = [.. spec["versions"]![0]!["additionalPrinterColumns"]!.AsArray().Select(c => c!["name"]!.GetValue<string>())];
        Assert.Equal(["Accepted", "Age"], new[] { columns[0], columns[^1] });
    }

    [Fact]
    public void ShortNames_AreUnique()
    {
        var names = Crds.ByKind.Values.SelectMany(c => c["spec"]!["names"]!["shortNames"]!.AsArray()).Select(n => n!.GetValue<string>()).ToList();
        Assert.Equal(names.Distinct().Count(), names.Count);
    }

    /// <summary>Without bounds the API server can't bound the cost of CEL, and refuses the definition.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public void Everything_IsBoundedAndDescribed(string kind)
    {
        foreach (var (path, schema) in Crds.Walk(Crds.Schema(kind)).Where(s => s.Path is not ("apiVersion" or "kind" or "metadata")))
        {
            Assert.True(schema["type"] is not null, $"{path} has no type");
            Assert.True(path.EndsWith("[]", StringComparison.Ordinal) || schema["description"] is not null, $"{path} has no description");
            switch (schema["type"]!.GetValue<string>())
            {
                case "string": Assert.True((schema["maxLength"] ?? schema["enum"] ?? schema["format"]) is not null, $"{path} has no maxLength"); break;
                case "array": Assert.True(schema["maxItems"] is not null, $"{path} has no maxItems"); break;
                case "integer" or "number": Assert.True(schema["minimum"] is not null, $"{path} has no minimum"); break;
                case "object": Assert.True(schema["additionalProperties"] is null || schema["maxProperties"] is not null, $"{path} has no maxProperties"); break;
                default: Assert.Equal("boolean", schema["type"]!.GetValue<string>()); break;
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Rules_HaveAMessageAndAskWhatIsThere(string kind)
    {
        var escaped = new HashSet<string> { "__namespace__" };
        foreach (var (path, schema) in Crds.Walk(Crds.Schema(kind)))
        {
            foreach (var rule in schema["x-kubernetes-validations"] as JsonArray ?? [])
            {
                Assert.NotEmpty(rule!["message"]!.GetValue<string>());
                foreach (Match field in SelfField().Matches(rule["rule"]!.GetValue<string>()))
                {
                    var name = field.Groups[1].Value;
                    Assert.True(schema["properties"]?[escaped.Contains(name) ? name.Trim('_') : name] is not null, $"{path} asks for {field.Value}");
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Status_IsTheSameForAll(string kind)
    {
        var status = Crds.Schema(kind)["properties"]!["status"]!;
        if (PolicyKinds.Find(kind) is null)
        {
            Assert.Null(status["properties"]!["ancestors"]);
            status["properties"]!.AsObject().ToList().ForEach(p => Assert.True(JsonNode.DeepEquals(p.Value, Crds.Schema("RetryPolicy")["properties"]!["status"]!["properties"]![p.Key])));
            return;
        }

        Assert.True(JsonNode.DeepEquals(Crds.Schema("RetryPolicy")["properties"]!["status"], status));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Targets_AreThoseOfTheReader(string kind)
    {
        if (PolicyKinds.Find(kind) is not { } policy)
        {
            Assert.Null(Crds.Schema(kind)["properties"]!["spec"]!["properties"]!["targetRefs"]);
            return;
        }

        var spec = Crds.Schema(kind)["properties"]!["spec"]!["properties"]!;
        Assert.Equal(
            policy.Targets.Select(t => t.ToString()).Where(t => t != "Workload").Order(),
            spec["targetRefs"]!["items"]!["properties"]!["kind"]!["enum"]!.AsArray().Select(k => k!.GetValue<string>()).Order());
        Assert.Equal(policy.HasSelector, spec["selector"] is not null);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Fields_AreThoseThatTheReaderAsksFor(string kind)
    {
        var schema = Crds.Walk((JsonObject)Crds.Schema(kind)["properties"]!["spec"]!, "spec").Select(f => f.Path).Where(p => !p.EndsWith("[]", StringComparison.Ordinal));

        Assert.Equal(schema.Order(StringComparer.Ordinal), Crds.Asked(kind).Order(StringComparer.Ordinal));
    }

    /// <summary>Whatever the readers take of our documentation and tests, the schemas take too.</summary>
    [Fact]
    public void Documents_ThatAreRead_AreValid()
    {
        var count = 0;
        foreach (var text in Examples())
        {
            foreach (var document in YamlJson.Parse(text).Where(d => d["apiVersion"]?.ToString() == PolicyKind.ApiVersion && Crds.ByKind.ContainsKey(d["kind"]!.ToString())))
            {
                var yaml = YamlJson.Write(document);
                if (Crds.Refusals(yaml).Count > 0)
                {
                    continue; // Golden cases show refused ones too.
                }

                Assert.True(StructuralSchema.Check(Crds.Schema(document["kind"]!.ToString()), document) is [], $"{string.Join("; ", StructuralSchema.Check(Crds.Schema(document["kind"]!.ToString()), document))}\n{yaml}");
                count++;
            }
        }

        Assert.True(count > 60, $"Only {count} policies were found.");
    }

    public static TheoryData<string> Refused => [.. RefusedPolicies.All.Select(r => r.What)];

    /// <summary>No policy that a reader would refuse looks valid by accident: who refuses it is said.</summary>
    [Theory]
    [MemberData(nameof(Refused))]
    public void Refused_ByWhomItIsSaid(string what)
    {
        var (_, kind, spec, by) = RefusedPolicies.All.Single(r => r.What == what);
        var yaml = RefusedPolicies.Yaml(kind, spec);

        Assert.NotEmpty(Crds.Refusals(yaml));
        var problems = StructuralSchema.Check(Crds.Schema(kind), YamlJson.Parse(yaml).Single());
        Assert.True((by == RefusedBy.Schema) == problems.Count > 0, string.Join("; ", problems));
    }

    internal static IEnumerable<string> Examples([CallerFilePath] string here = "")
    {
        var tests = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, ".."));
        var docs = Path.GetFullPath(Path.Combine(tests, "../../docs"));
        return
        [
            .. Directory.EnumerateFiles(docs, "*.md").SelectMany(f => Yaml().Matches(File.ReadAllText(f))).Select(m => m.Groups[1].Value).Where(t => t.Contains(PolicyKind.ApiVersion, StringComparison.Ordinal)),
            .. Directory.EnumerateFiles(tests, "in.yaml", SearchOption.AllDirectories).Select(File.ReadAllText).Where(t => t.Contains(PolicyKind.ApiVersion, StringComparison.Ordinal)),
        ];
    }

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Yaml();

    [GeneratedRegex(@"self\.([A-Za-z_]+)\b(?!\()")]
    private static partial Regex SelfField();
}
