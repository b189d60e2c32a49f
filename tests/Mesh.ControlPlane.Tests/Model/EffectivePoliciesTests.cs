using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Tests.Sources;
using Xunit;

namespace Mesh.ControlPlane.Tests.Model;

/// <summary>Namespace → Service → port → route → rule → the rule's own fields: the most specific value wins, field by field, and keeps its source.</summary>
public class EffectivePoliciesTests
{
    private static readonly ServiceName Cart = new("shop", "cart");

    private const string Service = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {ports: [{name: http, port: 80}, {name: grpc, port: 90}]}";

    private const string Route = """
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: cart, namespace: shop}
        spec:
          parentRefs: [{group: "", kind: Service, name: cart}]
          rules:
          - {name: own, timeouts: {request: 1s}, backendRefs: [{name: cart, port: 80}]}
          - {name: plain, backendRefs: [{name: cart, port: 80}]}
        """;

    private static readonly MeshModel Model = Manifests.Model(string.Join("\n---\n", Service, Route,
        Timeout("ns", "\"\"", "Namespace", "shop", null, "request: 60s, idle: 60s, responseHeaders: 60s, attempt: 60s, connect: 60s"),
        Timeout("service", "\"\"", "Service", "cart", null, "request: 50s, idle: 50s, responseHeaders: 50s, attempt: 50s"),
        Timeout("port", "\"\"", "Service", "cart", "grpc", "request: 40s, idle: 40s, responseHeaders: 40s"),
        Timeout("route", "gateway.networking.k8s.io", "HTTPRoute", "cart", null, "request: 30s, idle: 30s"),
        Timeout("rule", "gateway.networking.k8s.io", "HTTPRoute", "cart", "own", "request: 20s")));

    private static readonly EffectivePolicies Policies = new(Model);

    [Fact]
    public void Model_HasNoProblem() => Assert.Empty(Model.Problems);

    [Theory]
    [InlineData(80, -1, 50, 50, 50, 50, 60)]
    [InlineData(90, -1, 40, 40, 40, 50, 60)]
    [InlineData(80, 1, 30, 30, 50, 50, 60)]
    [InlineData(90, 1, 30, 30, 40, 50, 60)]
    [InlineData(90, 0, 1, 30, 40, 50, 60)]
    public void EachField_ComesFromTheMostSpecificThatHasIt(int port, int rule, int request, int idle, int headers, int attempt, int connect)
    {
        var settings = rule < 0 ? Policies.ForPort(Cart, port) : Policies.ForRule(Cart, port, Model.Routes[0], rule);

        Assert.Equal(
            [request, idle, headers, attempt, connect],
            new[] { TimeoutSettings.Request, TimeoutSettings.Idle, TimeoutSettings.ResponseHeaders, TimeoutSettings.Attempt, TimeoutSettings.Connect }
                .Select(s => (int)settings.Get(s).TotalSeconds));
    }

    [Fact]
    public void Value_KeepsWhoSaidItAndWhere()
    {
        var rule = Policies.ForRule(Cart, 90, Model.Routes[0], 0);

        Assert.Equal(new SettingSource("HTTPRoute", Cart, "spec.rules[0].timeouts.request", "in.yaml:12"), rule.Find(TimeoutSettings.Request)!.Source);
        Assert.Equal(new SettingSource("TimeoutPolicy", new ServiceName("shop", "route"), "spec.idle", "in.yaml:33"), rule.Find(TimeoutSettings.Idle)!.Source);
        Assert.Null(rule.Find(RetrySettings.Attempts));
        Assert.Equal(2, rule.Get(RetrySettings.Attempts));
    }

    [Fact]
    public void OwnZeroTimeout_LiftsThatOfAPolicy()
    {
        var model = Manifests.Model(string.Join("\n---\n", Service, Route.Replace("request: 1s", "request: 0s", StringComparison.Ordinal), Timeout("ns", "\"\"", "Namespace", "shop", null, "request: 60s")));

        Assert.Equal(TimeSpan.Zero, new EffectivePolicies(model).ForRule(Cart, 80, model.Routes[0], 0).Get(TimeoutSettings.Request));
    }

    [Fact]
    public void PerTryTimeout_GoesBeforeAttempt_OfTheSameTargetOnly()
    {
        const string Retry = "apiVersion: policy.meshlib.io/v1alpha1\nkind: RetryPolicy\nmetadata: {name: r, namespace: shop}\nspec: {targetRefs: [{group: \"\", kind: Service, name: cart}], perTryTimeout: 5s}";
        var model = Manifests.Model(string.Join("\n---\n", Service, Retry,
            Timeout("service", "\"\"", "Service", "cart", null, "attempt: 6s"), Timeout("port", "\"\"", "Service", "cart", "grpc", "attempt: 7s")));
        var policies = new EffectivePolicies(model);

        Assert.Equal(TimeSpan.FromSeconds(5), policies.ForPort(Cart, 80).Get(TimeoutSettings.Attempt));
        Assert.Equal(TimeSpan.FromSeconds(7), policies.ForPort(Cart, 90).Get(TimeoutSettings.Attempt));
    }

    [Fact]
    public void PolicyOfANamespace_DoesNotReachAnother()
    {
        var model = Manifests.Model(string.Join("\n---\n", Manifests.Service("cart", ns: "other"), Timeout("ns", "\"\"", "Namespace", "shop", null, "request: 60s")));

        Assert.False(new EffectivePolicies(model).ForPort(new ServiceName("other", "cart"), 80).IsSet(TimeoutSettings.Request));
    }

    private static string Timeout(string name, string group, string kind, string target, string? section, string fields) =>
        $"apiVersion: policy.meshlib.io/v1alpha1\nkind: TimeoutPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{targetRefs: [{{group: {group}, kind: {kind}, name: {target}{(section is null ? "" : $", sectionName: {section}")}}}], {fields}}}";
}
