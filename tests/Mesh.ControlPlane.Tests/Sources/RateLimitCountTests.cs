using Google.Protobuf;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Translation;
using Mesh.Xds.Decoding;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources;

/// <summary>One workload behind many Services, each with as many rate limits as a policy may have.</summary>
public sealed class RateLimitCountTests
{
    private static readonly string Limits = string.Join(", ", Enumerable.Range(0, 16).Select(i => $"{{name: l{i}, requests: 1, interval: 1s}}"));

    [Fact]
    public void AsManyAsAListenerTakes_AreInForce()
    {
        var model = Model(services: 16);

        Assert.Empty(model.Problems);
        Assert.All(model.Policies, p => Assert.True(Assert.Single(p.Attachments).IsAccepted));
        Assert.Empty(Listener(model).Errors);
    }

    [Fact]
    public void OneMore_TheNewestPolicyHasNoEffect_AndTheListenerIsStillSent()
    {
        var model = Model(services: 17, ", creationTimestamp: 2026-01-01T00:00:00Z");

        var refused = Assert.Single(model.Policies, p => !p.Attachments.All(a => a.IsAccepted));
        Assert.Equal(("s8", PolicyReason.Invalid), (refused.Name.Name, Assert.Single(refused.Attachments).Reason));
        var problem = Assert.Single(model.Problems);
        Assert.Equal(refused.Where, problem.Where);
        Assert.Contains("behind 17 Services, whose rate limits would be 272 together: 'shop/s0' (16), 'shop/s1' (16)", problem.What, StringComparison.Ordinal);
        Assert.Empty(Listener(model).Errors);
    }

    [Fact]
    public void SamePolicyOfTheNamespace_CountsOnce()
    {
        var services = string.Join("\n---\n", Enumerable.Range(0, 40).Select(Service));

        var model = Manifests.Model($"{services}\n---\n{Policy("all", "{group: \"\", kind: Namespace, name: shop}")}");

        Assert.Empty(model.Problems);
        Assert.Empty(Listener(model).Errors);
    }

    /// <param name="ofTheLast">Metadata of what would be the newest: without age, the last by name.</param>
    private static MeshModel Model(int services, string ofTheLast = "") => Manifests.Model(string.Join("\n---\n", Enumerable.Range(0, services).SelectMany(i => (string[])
        [Service(i), Policy($"s{i}", $"{{group: \"\", kind: Service, name: s{i}}}", i == 9 ? ofTheLast : string.Empty)])));

    private static DecodeResult Listener(MeshModel model)
    {
        var translator = new ResourceTranslator(new TranslationOptions(Manifests.TrustDomain, "cluster.local"));
        var name = $"{XdsTypes.InboundPrefix}10.0.0.1:8080";
        var message = translator.Translate(model, new NodeContext("n", "shop", null) { IsMesh = true }, XdsTypes.Listener, name).Message!;
        return ResourceDecoder.Decode(XdsTypes.Listener, message.ToByteString());
    }

    private static string Service(int i) => $$"""
        apiVersion: v1
        kind: Service
        metadata: {name: s{{i}}, namespace: shop}
        spec: {ports: [{name: web, port: 80}]}
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: { name: s{{i}}, namespace: shop, labels: { kubernetes.io/service-name: s{{i}} }, annotations: { meshlib.io/service-account: all } }
        addressType: IPv4
        ports: [{name: web, port: 8080}]
        endpoints: [{addresses: [10.0.0.1]}]
        """;

    private static string Policy(string name, string target, string meta = "") => $$"""
        apiVersion: policy.meshlib.io/v1alpha1
        kind: RateLimitPolicy
        metadata: {name: {{name}}, namespace: shop{{meta}} }
        spec: { targetRefs: [{{target}}], limits: [{{Limits}}] }
        """;
}
