using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Sources.Files;
using Mesh.ControlPlane.Sources.Manifests;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Mesh.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources;

public sealed class PolicyAssemblerTests
{
    private static readonly DateTimeOffset Noon = DateTimeOffset.Parse("2026-06-01T12:00:00Z", System.Globalization.CultureInfo.InvariantCulture);

    [Fact]
    public void TwoOfAKindAtOneTarget_TheOldestWins_AndTheOtherIsConflicted()
    {
        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("cart"),
            Policy("a", "request: 1s", ", creationTimestamp: 2026-02-01T00:00:00Z"), Policy("b", "request: 2s", ", creationTimestamp: 2026-01-01T00:00:00Z"), Policy("c", "request: 3s")));

        Assert.Equal([("b", PolicyReason.Accepted), ("a", PolicyReason.Conflicted), ("c", PolicyReason.Conflicted)], Reasons(model));
        Assert.Equal(TimeSpan.FromSeconds(2), new EffectivePolicies(model).ForPort(new ServiceName("shop", "cart"), 80).Get(TimeoutSettings.Request));
    }

    [Fact]
    public void TwoWithoutAge_TheFirstByNameWins()
    {
        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("cart"), Policy("z", "request: 1s"), Policy("y", "request: 2s")));

        Assert.Equal([("y", PolicyReason.Accepted), ("z", PolicyReason.Conflicted)], Reasons(model));
    }

    [Fact]
    public void TwoKindsAtOneTarget_AreNoConflict()
    {
        var retry = Policy("r", "attempts: 1").Replace("TimeoutPolicy", "RetryPolicy", StringComparison.Ordinal);

        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("cart"), Policy("t", "request: 1s"), retry));

        Assert.Empty(model.Problems);
        Assert.All(model.Policies, p => Assert.True(Assert.Single(p.Attachments).IsAccepted));
    }

    [Fact]
    public void NewVersionInvalid_LastGoodStays_AndStatusTellsIt()
    {
        var service = Manifests.Service("cart");
        var good = ManifestFile.Read("in.yaml", service + "\n---\n" + Policy("p", "request: 1s"), null);
        var bad = ManifestFile.Read("in.yaml", service + "\n---\n" + Policy("p", "request: soon"), good);

        var model = Manifests.Assemble([bad]);

        var policy = Assert.Single(model.Policies);
        Assert.Contains("spec.request is 'soon'", policy.Invalid, StringComparison.Ordinal);
        Assert.Equal(TimeSpan.FromSeconds(1), new EffectivePolicies(model).ForPort(new ServiceName("shop", "cart"), 80).Get(TimeoutSettings.Request));
    }

    [Fact]
    public void PathTemplate_OnARuleWithAPath_IsInvalid()
    {
        var route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart, namespace: shop}\nspec: {parentRefs: [{group: \"\", kind: Service, name: cart}], rules: [{matches: [{path: {value: /a}}], backendRefs: [{name: cart, port: 80}]}]}";
        var match = "apiVersion: policy.meshlib.io/v1alpha1\nkind: MatchPolicy\nmetadata: {name: m, namespace: shop}\nspec: {targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: cart}], pathTemplate: \"/a/{id}\"}";

        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("cart"), route, match));

        Assert.Equal([("m", PolicyReason.Invalid)], Reasons(model));
        Assert.Contains("exclude each other", Assert.Single(model.Problems).What, StringComparison.Ordinal);
    }

    [Fact]
    public void Fault_AfterItsEnd_HasNoEffect_AndIsNoProblem()
    {
        var file = ManifestFile.Read("in.yaml", Manifests.Service("cart") + "\n---\n" + Fault, null);

        var before = ModelAssembler.Assemble([file], Manifests.TrustDomain, new FakeMarks(), _ => [], Noon - TimeSpan.FromTicks(1));
        var after = ModelAssembler.Assemble([file], Manifests.TrustDomain, new FakeMarks(), _ => [], Noon);

        Assert.Equal([("f", PolicyReason.Accepted)], Reasons(before));
        Assert.Equal([("f", PolicyReason.Expired)], Reasons(after));
        Assert.Empty(after.Problems);
    }

    [Fact]
    public async Task Fault_Ends_WithoutAnyChangeOfTheFiles()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-policies-").FullName;
        try
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "in.yaml"), Manifests.Service("cart") + "\n---\n" + Fault, TestContext.Current.CancellationToken);
            var time = new FakeTimeProvider(Noon - TimeSpan.FromHours(30));
            var store = new ModelStore();
            await using var source = new FileSource(new FileSourceOptions { Folder = folder, TrustDomain = Manifests.TrustDomain, PollInterval = TimeSpan.FromDays(30), ResolveInterval = TimeSpan.FromDays(30) }, new FakeMarks(), store, time, new FakeLogger());
            await source.StartAsync(TestContext.Current.CancellationToken);
            Assert.Equal([("f", PolicyReason.Accepted)], Reasons(store.Current));

            // Longer than a timer may take: in two steps.
            time.Advance(TimeSpan.FromHours(24));
            time.Advance(TimeSpan.FromHours(5));
            Assert.Equal([("f", PolicyReason.Accepted)], Reasons(store.Current));
            await Eventually.Async(() =>
            {
                time.Advance(TimeSpan.FromMinutes(30));
                return Reasons(store.Current).Single().Reason == PolicyReason.Expired;
            }, "the fault has ended");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private const string Fault =
        "apiVersion: policy.meshlib.io/v1alpha1\nkind: FaultPolicy\nmetadata: {name: f, namespace: shop}\nspec: {targetRefs: [{group: \"\", kind: Service, name: cart}], delay: {fixed: 1s}, expiresAt: 2026-06-01T14:00:00+02:00}\n";

    private static string Policy(string name, string field, string meta = "") =>
        $"apiVersion: policy.meshlib.io/v1alpha1\nkind: TimeoutPolicy\nmetadata: {{name: {name}, namespace: shop{meta}}}\nspec: {{targetRefs: [{{group: \"\", kind: Service, name: cart}}], {field}}}";

    private static IEnumerable<(string Name, PolicyReason Reason)> Reasons(MeshModel model) => model.Policies.SelectMany(p => p.Attachments.Select(a => (p.Name.Name, a.Reason)));
}
