using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.ControlPlane.Translation;
using Mesh.ControlPlane.Xds;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Mesh.ControlPlane.Tests.Xds;

/// <summary>An inbound listener is made once for equal nodes, and anew for whoever has other policies.</summary>
public sealed class InboundAnswersTests
{
    private const string Name = XdsTypes.InboundPrefix + "127.0.0.1:8080";

    [Fact]
    public async Task EqualNodes_ShareAnAnswer_OthersDoNot()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Source.Publish(Manifests.Model(Manifests.Service("cart") + "\n---\n" + Manifests.Slice("cart", "127.0.0.1")));
        var answers = Answers(controlPlane);

        var first = answers.Get(Node("a", "shop"), XdsTypes.Listener, Name);

        Assert.True(first.Exists);
        Assert.Same(first, answers.Get(Node("b", "shop"), XdsTypes.Listener, Name));
        Assert.NotSame(first, answers.Get(Node("c", "bank"), XdsTypes.Listener, Name));
        Assert.NotSame(first, answers.Get(Node("d", "shop") with { Identity = null }, XdsTypes.Listener, Name));
    }

    [Fact]
    public async Task AddressWithoutAService_IsAnsweredToWhoProvedToBeOurs_AndBecomesNoEndpoint()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Source.Publish(Manifests.Model(Manifests.Service("cart") + "\n---\n" + Manifests.Slice("cart", "127.0.0.1")));
        var answers = Answers(controlPlane);
        const string Admin = XdsTypes.InboundPrefix + "127.0.0.1:9090";

        Assert.True(answers.Get(Node("a", "shop"), XdsTypes.Listener, Admin).Exists);
        Assert.False(answers.Get(Node("a", "shop") with { Identity = null }, XdsTypes.Listener, Admin).Exists);
        Assert.False(answers.Get(Node("a", "shop") with { IsMesh = false }, XdsTypes.Listener, Admin).Exists);
        Assert.False(answers.Get(Node("a", "shop"), XdsTypes.Listener, "127.0.0.1:9090").Exists);
    }

    /// <summary>The real translator and decoders over the control plane's model.</summary>
    private static ResourceAnswers Answers(TestControlPlane controlPlane) => new(
        controlPlane.Services.GetRequiredService<ModelStore>(), new ResourceTranslator(new TranslationOptions(Manifests.TrustDomain, "cluster.local")),
        new OutgoingCheck(ResourceDecoder.Decode), controlPlane.Services.GetRequiredService<LeafPolicyStore>(), controlPlane.Services.GetRequiredService<TrustBundleStore>(), NullLogger<ResourceAnswers>.Instance);

    private static NodeContext Node(string id, string ns) => new(id, ns, SpiffeId.ForServiceAccount(Manifests.TrustDomain, ns, "sa")) { IsMesh = true };
}
