using System.Globalization;
using System.Text;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Sources.Files;
using Mesh.ControlPlane.Sources.Manifests;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources;

public sealed class AuthorizationAssemblerTests
{
    [Fact]
    public void SeveralAtOneTarget_HoldTogether_ButServerPoliciesConflict()
    {
        var model = Manifests.Model(Cart(Rules("b", "Deny"), Rules("a", "Allow"), Policy("ServerPolicy", "s1", "access: deny"), Policy("ServerPolicy", "s2", "mtls: Strict")));

        Assert.Equal([("a", PolicyReason.Accepted), ("b", PolicyReason.Accepted), ("s1", PolicyReason.Accepted), ("s2", PolicyReason.Conflicted)],
            model.Policies.Select(p => (p.Name.Name, Assert.Single(p.Attachments).Reason)));
        var place = At(model);
        Assert.Equal(["shop/a/0", "shop/b/0"], place.Rules.Select(r => r.Name));
        Assert.Equal((AccessMode.Deny, MtlsMode.Permissive), (place.Access, place.Mtls));
        Assert.Equal("in.yaml:38", place.Sources[ServerSettings.Access].Where);
    }

    [Fact]
    public void NewVersionInvalid_TheLastGoodHolds_AndNothingIsClosed()
    {
        var good = ManifestFile.Read("in.yaml", Cart(Rules("p", "Deny")), null);
        var bad = ManifestFile.Read("in.yaml", Cart(Rules("p", "Dney")), good);

        var model = Manifests.Assemble([bad]);

        Assert.Contains("The last good version stays in force.", Assert.Single(model.Problems).What, StringComparison.Ordinal);
        Assert.Equal(["shop/p/0"], At(model).Rules.Select(r => r.Name));
    }

    [Fact]
    public void TargetUnreadable_IsToldAsProtectingNothing()
    {
        var model = Manifests.Model(Cart(Rules("p", "Deny").Replace("kind: Service,", "kind: Servce,", StringComparison.Ordinal)));

        Assert.Contains("NOTHING IS PROTECTED BY IT", Assert.Single(model.Problems).What, StringComparison.Ordinal);
        Assert.Empty(At(model).Rules);
    }

    [Theory]
    [InlineData("filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /new}}}], ", "", "rewrites the path")]
    [InlineData("filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-A, value: b}]}}], ", "", "matches by header x-a and changes it")]
    [InlineData("", "callers: [{namespace: shop}]", "is for some callers only (MatchPolicy 'shop/m'")]
    public void RouteThatCannotBeToldAtTheServer_ClosesItsWorkloads(string filters, string narrowing, string what)
    {
        var route = $"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: shop}}\nspec:\n  parentRefs: [{{group: \"\", kind: Service, name: cart}}]\n  rules: [{{name: one, matches: [{{headers: [{{name: x-a, value: a}}]}}], {filters}backendRefs: [{{name: cart, port: 80}}]}}, {{name: two, backendRefs: [{{name: cart, port: 80}}]}}]\n";
        const string ToRule = "targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r, sectionName: one}]";
        string[] match = narrowing.Length == 0 ? [] : [$"apiVersion: policy.meshlib.io/v1alpha1\nkind: MatchPolicy\nmetadata: {{name: m, namespace: shop}}\nspec:\n  {ToRule}\n  {narrowing}\n"];
        var policy = $"apiVersion: policy.meshlib.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {{name: p, namespace: shop}}\nspec:\n  {ToRule}\n  rules: [{{action: Allow}}]\n";

        var model = Manifests.Model(Cart([route, .. match, policy]));

        Assert.Contains(what, Assert.Single(model.Problems).What, StringComparison.Ordinal);
        Assert.Equal(["shop/p/~closed-by-AuthorizationPolicy"], At(model).Rules.Select(r => r.Name));
    }

    [Fact]
    public void OtherNamespaces_HaveNoSay()
    {
        var theirs = "apiVersion: policy.meshlib.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: bank}\nspec:\n  targetRefs: [{group: \"\", kind: Namespace, name: bank}]\n  rules: [{action: Allow}]\n";
        // A slice of theirs names our address.
        var model = Manifests.Model(Cart(theirs, Manifests.Service("x", ns: "bank"), Manifests.Slice("x", "127.0.0.1", ns: "bank")));

        Assert.Empty(model.Problems);
        Assert.Empty(At(model).Rules);
        Assert.Single(new AuthorizationIndex(model, ServerDefaults.Default).At("bank", null, ["127.0.0.1"], 8080).Rules);
    }

    [Fact]
    public void TooManyRules_TheNewestPolicyGoes_AndClosesItsTarget()
    {
        var policies = Enumerable.Range(0, 9).Select(i => Policy("AuthorizationPolicy", $"p{i}", "rules:\n" + string.Concat(Enumerable.Repeat("  - {action: Deny}\n", 256))));

        var model = Manifests.Model(Cart([.. policies]));

        Assert.Contains("would have 2304 rules", Assert.Single(model.Problems).What, StringComparison.Ordinal);
        Assert.Equal("p8", Assert.Single(model.Policies, p => p.Attachments.Any(a => !a.IsAccepted)).Name.Name);
        Assert.Contains(At(model).Rules, r => r.Name == "shop/p8/~closed-by-AuthorizationPolicy");
        Assert.Equal((8 * 256) + 1, At(model).Rules.Length);
    }

    [Theory]
    [InlineData("", "", "", AccessMode.AllAuthenticated)]
    [InlineData("all-unauthenticated", "", "", AccessMode.AllUnauthenticated)]
    [InlineData("all-unauthenticated", "deny", "", AccessMode.Deny)]
    [InlineData("all-unauthenticated", "deny", "cluster-unauthenticated", AccessMode.ClusterUnauthenticated)]
    [InlineData("", "audit", "", AccessMode.Audit)]
    public void Access_TheMostSpecificHolds(string ofNamespace, string ofService, string ofPort, AccessMode expected)
    {
        var objects = new List<string>();
        foreach (var (access, target) in new[]
        {
            (ofNamespace, "targetRefs: [{group: \"\", kind: Namespace, name: shop}]"),
            (ofService, "targetRefs: [{group: \"\", kind: Service, name: named}]"),
            (ofPort, "targetRefs: [{group: \"\", kind: Service, name: named, sectionName: http}]"),
        })
        {
            if (access.Length > 0)
            {
                objects.Add($"apiVersion: policy.meshlib.io/v1alpha1\nkind: ServerPolicy\nmetadata: {{name: p{objects.Count}, namespace: shop}}\nspec:\n  {target}\n  access: {access}\n");
            }
        }

        objects.Add("apiVersion: v1\nkind: Service\nmetadata: {name: named, namespace: shop}\nspec: {ports: [{name: http, port: 80}]}");
        objects.Add(Manifests.Slice("named", "127.0.0.1", 9000).Replace("{port: 9000}", "{name: http, port: 9000}", StringComparison.Ordinal));
        var model = Manifests.Model(string.Join("\n---\n", objects));

        Assert.Empty(model.Problems);
        Assert.Equal(expected, new AuthorizationIndex(model, ServerDefaults.Default with { Access = AccessMode.AllAuthenticated }).At("shop", null, ["127.0.0.1"], 9000).Access);
    }

    [Theory]
    [InlineData(AccessMode.AllAuthenticated, AccessMode.ClusterUnauthenticated, AccessMode.ClusterAuthenticated)]
    [InlineData(AccessMode.Deny, AccessMode.AllUnauthenticated, AccessMode.Deny)]
    [InlineData(AccessMode.Audit, AccessMode.AllAuthenticated, AccessMode.AllAuthenticated)]
    [InlineData(AccessMode.Audit, AccessMode.AllUnauthenticated, AccessMode.AllUnauthenticated)]
    public void Access_OfSeveralServices_IsWhatAllLetIn(AccessMode a, AccessMode b, AccessMode both)
    {
        Assert.Equal(both, AccessModes.Both(a, b));
        Assert.Equal(both, AccessModes.Both(b, a));
    }

    [Fact]
    public void Selector_TakesTheServicesLabels_WhereNoPodIs_AndReachesAdminPortsByAccount()
    {
        var service = "apiVersion: v1\nkind: Service\nmetadata: {name: stock, namespace: shop, labels: {app: stock}}\nspec: {ports: [{port: 80}]}";
        var policy = "apiVersion: policy.meshlib.io/v1alpha1\nkind: ServerPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  selector: {matchLabels: {app: stock}}\n  access: deny\n";
        var model = Manifests.Model(string.Join("\n---\n", service, Manifests.Slice("stock", "127.0.0.1", account: "stock"), policy));
        var index = new AuthorizationIndex(model, ServerDefaults.Default);

        Assert.Empty(model.Problems);
        Assert.Equal(AccessMode.Deny, index.At("shop", null, ["127.0.0.1"], 8080).Access);
        Assert.Equal(AccessMode.Deny, index.At("shop", "stock", ["127.0.0.1"], 9999).Access);
        Assert.Equal(AccessMode.AllUnauthenticated, index.At("shop", "other", ["127.0.0.1"], 9999).Access);
    }

    [Fact]
    public void ForService_GivesWhatHoldsAtEachEndpoint_WithFileAndLine()
    {
        var model = Manifests.Model(Cart(Rules("p", "Deny")));

        var (endpoint, holds) = Assert.Single(EffectiveAuthorization.For(model, ServerDefaults.Default, new ServiceName("shop", "cart"), 80));

        Assert.Equal("127.0.0.1:8080", endpoint.HostPort);
        Assert.Equal("in.yaml:22", Assert.Single(holds.All).Rule.Where);
        Assert.Equal((new ServiceName("shop", "cart"), 80), Assert.Single(holds.Services));
        Assert.Empty(EffectiveAuthorization.For(model, ServerDefaults.Default, new ServiceName("shop", "cart"), 81));
        Assert.Equal(["shop/p/0"], EffectiveAuthorization.For(model, ServerDefaults.Default, "shop", null, "127.0.0.1", 8080).All.Select(r => r.Name));
    }

    [Fact]
    public async Task WhatIsNotHeld_IsLoggedAtError_Once()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-authorization-").FullName;
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "in.yaml"), Cart(Rules("p", "Alow"), Rules("q", "Deny").Replace("kind: Service,", "kind: Servce,", StringComparison.Ordinal)), TestContext.Current.CancellationToken);
            var (store, logger) = (new ModelStore(), new FakeLogger());
            await using (var source = new FileSource(new FileSourceOptions { Folder = folder, TrustDomain = Manifests.TrustDomain }, new FakeMarks(), store, TimeProvider.System, logger))
            {
                var published = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                await source.StartAsync(TestContext.Current.CancellationToken);
                using var again = store.Subscribe(_ => published.TrySetResult());
                source.Refresh();
                await published.Task.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
            }

            Assert.Equal(
            [
                "AuthorizationPolicy 'shop/p' at in.yaml:22 can't be held: Service 'cart' is closed but for probes",
                "AuthorizationPolicy 'shop/q' at in.yaml:29 can't be held: nothing is protected by it, because what it is about can't be read",
            ], logger.Collector.GetSnapshot().Where(l => l.Level == LogLevel.Error).Select(l => l.Message).Order(StringComparer.Ordinal));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void PeerLimits_NameTheNodesAndTheRules()
    {
        var rules = "rules: [{name: a, action: Allow, from: [{claims: [{name: sub, values: [x]}]}]}, {name: d, action: Deny, from: [{claims: [{name: sub, values: [x]}]}]}, {name: w, action: Audit}]";
        var policy = Assert.Single(Manifests.Model(Cart(Policy("AuthorizationPolicy", "p", rules))).Policies);

        Assert.Equal(
        [
            "gRPC servers that are not ours verify no tokens: there nobody gets in by rule 'a', rule 'd' refuses without asking for claims.",
            "gRPC servers that are not ours have no audit: there rule 'w' counts nothing.",
        ], PeerLimits.Of(policy));
    }

    private static EffectiveAuthorization At(MeshModel model) => new AuthorizationIndex(model, ServerDefaults.Default).At("shop", null, ["127.0.0.1"], 8080);

    private static string Cart(params string[] objects) =>
        new StringBuilder().AppendJoin("\n---\n", [Manifests.Service("cart"), Manifests.Slice("cart", "127.0.0.1"), .. objects]).ToString();

    private static string Rules(string name, string action) => Policy("AuthorizationPolicy", name, string.Create(CultureInfo.InvariantCulture, $"rules: [{{action: {action}}}]"));

    private static string Policy(string kind, string name, string spec) =>
        $"apiVersion: policy.meshlib.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  targetRefs: [{{group: \"\", kind: Service, name: cart}}]\n  {spec}\n";
}
