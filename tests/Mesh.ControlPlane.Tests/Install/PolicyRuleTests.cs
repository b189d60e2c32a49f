using System.Text.Json.Nodes;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Manifests.Policies;
using Mesh.Testing.Kubernetes.Cel;
using Xunit;

namespace Mesh.ControlPlane.Tests.Install;

/// <summary>The CEL rules of the definitions, evaluated by an engine that is not ours (@bufbuild/cel in node).</summary>
public sealed class PolicyRuleTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Rules_RefuseWhatIsSaidOfThem_AndNothingThatIsRead()
    {
        Assert.SkipWhen(CelRules.Missing is not null, CelRules.Missing ?? string.Empty);
        await using var rules = await CelRules.StartAsync(Token);
        var wrong = new List<string>();
        foreach (var kind in Crds.ByKind.Keys)
        {
            wrong.AddRange(rules.Compile(Crds.Schema(kind)).Select(e => $"{kind}: {e.Message}"));
        }

        foreach (var (what, kind, spec, by) in RefusedPolicies.All.Where(r => r.By != RefusedBy.Schema))
        {
            var refused = rules.Check(Crds.Schema(kind), YamlJson.Parse(RefusedPolicies.Yaml(kind, spec)).Single()).Count > 0;
            if (refused != (by == RefusedBy.Rule))
            {
                wrong.Add($"{kind} with {what}: {(refused ? "a rule refuses it already" : "no rule refuses it")}");
            }
        }

        var taken = 0;
        foreach (var policy in PolicySchemaTests.Examples().SelectMany(YamlJson.Parse).Where(IsOurs))
        {
            var yaml = YamlJson.Write(policy);
            if (Crds.Refusals(yaml).Count == 0)
            {
                wrong.AddRange(rules.Check(Crds.Schema(policy["kind"]!.ToString()), policy).Select(e => $"{e.Path}: {e.Message}\n{yaml}"));
                taken++;
            }
        }

        Assert.Empty(wrong);
        Assert.True(taken > 60, $"Only {taken} policies were found.");
    }

    private static bool IsOurs(JsonObject document) => document["apiVersion"]?.ToString() == PolicyKind.ApiVersion && Crds.ByKind.ContainsKey(document["kind"]!.ToString());
}
