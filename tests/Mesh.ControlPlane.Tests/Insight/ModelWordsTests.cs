using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Tests.Sources;
using Xunit;

namespace Mesh.ControlPlane.Tests.Insight;

public sealed class ModelWordsTests
{
    private const string Route = """

        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: pricing, namespace: shop}
        spec:
          parentRefs: [{kind: Service, group: "", name: cart, port: 80}]
          rules: [{backendRefs: [{name: cart, port: 80, weight: WEIGHT}, {name: other, port: 80, weight: 10}]}]
        """;

    private const string Fault = """

        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: FaultPolicy
        metadata: {name: slow, namespace: shop}
        spec:
          targetRefs: [{kind: Service, group: "", name: cart}]
          expiresAt: Never
          delay: {fixed: DELAY}
        """;

    private static readonly string Base = $"{Manifests.Service("cart")}\n---\n{Manifests.Service("other")}\n---\n{Manifests.Slice("cart", "10.0.0.1")}";

    [Fact]
    public void Same_SaysNothing() => Assert.Empty(Between(Base + Route.Replace("WEIGHT", "90"), Base + Route.Replace("WEIGHT", "90")));

    [Fact]
    public void Route_ChangedWeights_AreSaid()
    {
        Assert.Equal(new ModelWord(ChangeKinds.Config, "HTTPRoute shop/pricing changed: weights 50/10", "shop", "cart"), Assert.Single(Between(Base + Route.Replace("WEIGHT", "90"), Base + Route.Replace("WEIGHT", "50"))));
        Assert.Equal("HTTPRoute shop/pricing added", Assert.Single(Between(Base, Base + Route.Replace("WEIGHT", "90"))).What);
        Assert.Equal("HTTPRoute shop/pricing removed", Assert.Single(Between(Base + Route.Replace("WEIGHT", "90"), Base)).What);
    }

    [Fact]
    public void FaultPolicy_ComesChangesAndGoes_IsAFaultOfItsService()
    {
        var (slow, slower) = (Base + Fault.Replace("DELAY", "200ms"), Base + Fault.Replace("DELAY", "300ms"));

        Assert.Equal(new ModelWord(ChangeKinds.Fault, "FaultPolicy shop/slow added: +200ms for 100 %", "shop", "cart"), Assert.Single(Between(Base, slow)));
        Assert.Equal("FaultPolicy shop/slow changed: +300ms for 100 %", Assert.Single(Between(slow, slower)).What);
        Assert.Equal(new ModelWord(ChangeKinds.Fault, "FaultPolicy shop/slow removed", "shop", "cart", Recovery: true), Assert.Single(Between(slow, Base)));
    }

    [Fact]
    public void Endpoints_ComeAndGo_OneWordForEachService()
    {
        var two = Base.Replace("[10.0.0.1]", "[10.0.0.2, 10.0.0.3]");

        Assert.Equal(
            [
                new ModelWord(ChangeKinds.Endpoint, "shop/cart: 10.0.0.1:8080 is gone", "shop", "cart"),
                new ModelWord(ChangeKinds.Endpoint, "shop/cart: 10.0.0.2:8080, 10.0.0.3:8080 are ready", "shop", "cart", Recovery: true),
            ],
            Between(Base, two));
        Assert.Equal("shop/cart: 10.0.0.1:8080 is in the mesh", Assert.Single(ModelWords.Between(Manifests.Model(Base), Manifests.Model(Base, "*"))).What);
    }

    [Fact]
    public void Services_ComeGoAndChangePorts()
    {
        Assert.Equal("Service shop/third added", Assert.Single(Between(Base, $"{Base}\n---\n{Manifests.Service("third")}")).What);
        Assert.Equal("Service shop/other changed: ports 81", Assert.Single(Between(Base, Base.Replace(Manifests.Service("other"), Manifests.Service("other", 81)))).What);
    }

    private static IReadOnlyList<ModelWord> Between(string before, string after) => ModelWords.Between(Manifests.Model(before), Manifests.Model(after));
}
