using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Tests.Sources;
using Xunit;

namespace Mesh.ControlPlane.Tests.Api;

/// <summary>Valid rules that are probably not meant.</summary>
public sealed class PolicyLintTests
{
    [Theory]
    [InlineData("shadowed", "error", "- {name: a, action: Allow, from: [{serviceAccounts: [storefront]}], to: [{paths: [/x/y]}]}\n  - {name: d, action: Deny, to: [{paths: [\"/x/*\"]}]}")]
    [InlineData("redundant", "warning", "- {name: a, action: Allow, from: [{serviceAccounts: [storefront]}]}\n  - {name: b, action: Allow, from: [{namespaces: [shop]}]}")]
    [InlineData("redundant", "warning", "- {name: a, action: Allow, from: [{serviceAccounts: [storefront]}]}\n  - {name: b, action: Allow, from: [{serviceAccounts: [storefront]}]}")]
    [InlineData("claims-without-tokens", "error", "- {name: a, action: Allow, from: [{claims: [{name: sub, values: [x]}]}]}")]
    [InlineData("unknown-caller", "warning", "- {name: a, action: Allow, from: [{serviceAccounts: [storefrnt]}]}")]
    [InlineData("unknown-caller", "warning", "- {name: a, action: Allow, from: [{namespaces: [shpo]}]}")]
    [InlineData("strange-trust-domain", "warning", "- {name: a, action: Allow, from: [{identities: [\"spiffe://other.example/ns/shop/sa/x\"]}]}")]
    [InlineData("unknown-method", "warning", "- {name: a, action: Deny, to: [{methods: [DELTE]}]}")]
    [InlineData("no-such-port", "warning", "- {name: a, action: Allow, to: [{ports: [9999]}]}")]
    [InlineData("peers", "warning", "- {name: a, action: Audit}")]
    public void Rule_ThatIsProbablyNotMeant_IsFound(string id, string severity, string rules)
    {
        var findings = Lint(rules);

        Assert.Contains(findings, f => f.Id == id && f.Severity == severity && f.Where.StartsWith("in.yaml:", StringComparison.Ordinal) && f.Fix.Length > 0);
    }

    [Theory]
    [InlineData("- {name: a, action: Allow, from: [{serviceAccounts: [storefront]}]}\n  - {name: d, action: Deny, to: [{methods: [DELETE]}]}")]
    [InlineData("- {name: a, action: Allow, from: [{serviceAccounts: [storefront]}], to: [{paths: [\"/x/*\"]}]}\n  - {name: d, action: Deny, to: [{paths: [/x/y]}]}")]
    [InlineData("- {name: a, action: Allow, from: [{networks: [{cidr: 10.0.0.0/8}]}]}\n  - {name: b, action: Allow, from: [{networks: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}], serviceAccounts: [storefront]}], to: [{methods: [GET]}]}\n  - {name: c, action: Deny, from: [{networks: [{cidr: 10.1.0.0/16}]}]}", "peers", "redundant")]
    public void Rules_ThatMeanSomething_AreNotFound(string rules, params string[] expected) =>
        Assert.Equal(expected, Lint(rules).Select(f => f.Id));

    [Fact]
    public void Problems_OfPolicies_AreFoundToo()
    {
        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("catalog"), Policy("nothing", "- {action: Deny}").Replace("name: catalog}]", "name: catalogg}]", StringComparison.Ordinal),
            Policy("labels", "- {action: Deny}").Replace("targetRefs: [{group: \"\", kind: Service, name: catalog}]", "selector: {matchLabels: {app: none}}", StringComparison.Ordinal)));

        var findings = new PolicyLint(model, ServerDefaults.Default, "cluster.local", []).Run();

        Assert.Equal(["no-target", "no-target"], findings.Select(f => f.Id));
    }

    private static IReadOnlyList<LintFinding> Lint(string rules)
    {
        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("catalog"), Manifests.Slice("catalog", "127.0.0.1"), Policy("p", rules)));
        Assert.Empty(model.Problems);
        return new PolicyLint(model, ServerDefaults.Default, "cluster.local", [("shop", "storefront")]).Run();
    }

    private static string Policy(string name, string rules) => $$"""
        apiVersion: policy.meshlib.io/v1alpha1
        kind: AuthorizationPolicy
        metadata: {name: {{name}}, namespace: shop}
        spec:
          targetRefs: [{group: "", kind: Service, name: catalog}]
          rules:
          {{rules}}
        """;
}
