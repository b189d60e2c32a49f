using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Tests.Sources;
using Xunit;

namespace Mesh.ControlPlane.Tests.Model;

public sealed class ModelChangeTests
{
    private const string Route = """
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: split, namespace: shop}
        spec:
          parentRefs: [{kind: Service, group: "", name: cart}]
          rules:
          - matches: [{path: {value: /a}}]
            filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x, value: y}]}}, {type: RequestMirror, requestMirror: {backendRef: {name: stock, port: 80}}}]
            backendRefs: [{name: cart, port: 80, weight: 9}, {name: stock, port: 80}]
        """;

    private const string Policy = """
        apiVersion: policy.meshlib.io/v1alpha1
        kind: RetryPolicy
        metadata: {name: retries, namespace: shop}
        spec:
          targetRefs: [{kind: Service, group: "", name: cart}]
          attempts: 3
        """;

    private static readonly AnswerBasis Cart = new() { Services = [new ServiceName("shop", "cart")] };
    private static readonly AnswerBasis Stock = new() { Services = [new ServiceName("shop", "stock")] };

    // One manifest a file, each read once, as long as its text stays: as the sources do it.
    private readonly Dictionary<string, ManifestFile> _files = [];

    [Fact]
    public void Between_TheSameAssembledAgain_TouchesNothing()
    {
        var change = ModelChange.Between(Model(Slice("10.0.0.1"), Route, Policy), Model(Slice("10.0.0.1"), Route, Policy));
        Assert.False(change.IsEverything);
        Assert.False(change.Touches(Cart));
        Assert.False(change.Touches(new AnswerBasis { Addresses = ["10.0.0.1"], Account = ("shop", "sa") }));
        Assert.True(change.Touches(null));
    }

    [Fact]
    public void Between_OneEndpointReplaced_TouchesItsServiceBothAddressesAndItsAccount()
    {
        var change = ModelChange.Between(Model(Slice("10.0.0.1"), Route, Policy), Model(Slice("10.0.0.2"), Route, Policy));
        Assert.False(change.IsEverything);
        Assert.True(change.Touches(Cart));
        Assert.True(change.Touches(new AnswerBasis { Addresses = ["10.0.0.1"] }));
        Assert.True(change.Touches(new AnswerBasis { Addresses = ["10.9.9.9", "10.0.0.2"] }));
        Assert.True(change.Touches(new AnswerBasis { Account = ("shop", "sa") }));
        Assert.False(change.Touches(Stock));
        Assert.False(change.Touches(new AnswerBasis { Addresses = ["10.0.1.1"], Account = ("other", "sa") }));
    }

    [Fact]
    public void Between_EndpointMarked_TouchesItsService()
    {
        var before = Model(Slice("10.0.0.1"));
        var change = ModelChange.Between(before, Manifests.Assemble(_files.Values, "10.0.0.1:8080"));
        Assert.False(change.IsEverything);
        Assert.True(change.Touches(Cart));
        Assert.False(change.Touches(Stock));
    }

    [Fact]
    public void Between_WhatIsNoEndpoint_IsEverything()
    {
        var before = Model(Slice("10.0.0.1"), Route, Policy);
        Assert.True(ModelChange.Between(before, Model(Slice("10.0.0.1"), Route)).IsEverything);
        Assert.True(ModelChange.Between(before, Model(Slice("10.0.0.1"), Policy)).IsEverything);
        Assert.True(ModelChange.Between(before, Model(Slice("10.0.0.1"), Route, Policy.Replace("3", "4", StringComparison.Ordinal))).IsEverything);
        Assert.True(ModelChange.Between(before, Model(Slice("10.0.0.1"), Route.Replace("weight: 9", "weight: 8", StringComparison.Ordinal), Policy)).IsEverything);
        Assert.True(ModelChange.Between(before, Model(Slice("10.0.0.1"), Route, Policy, Manifests.Service("new"))).IsEverything);
        Assert.True(ModelChange.Between(before, before with { Services = before.Services.SetItem(Cart.Services[0], before.Services[Cart.Services[0]] with { ClusterIps = ["10.96.0.1"] }) }).IsEverything);
        Assert.True(ModelChange.Between(MeshModel.Empty, before).IsEverything);
    }

    private static string Slice(string address) => Manifests.Slice("cart", address);

    private MeshModel Model(params string[] documents)
    {
        string[] all = [Manifests.Service("cart"), Manifests.Service("stock"), Manifests.Slice("stock", "10.0.1.1", account: "other"), .. documents];
        var read = all.Select((text, i) => _files.TryGetValue(text, out var file) ? file : _files[text] = ManifestFile.Read($"{i}.yaml", text, null)).ToArray();
        Assert.All(read, f => Assert.Empty(f.Problems));
        return Manifests.Assemble(read);
    }
}
