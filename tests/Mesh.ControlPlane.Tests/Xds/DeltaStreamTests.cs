using System.Collections.Immutable;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Xds;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Protos.Identity;
using Mesh.Testing;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Xds;

public sealed class DeltaStreamTests
{
    [Fact]
    public async Task Subscribe_OneExistsOneNot_SaysSo()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "a", "missing");
        var response = await stream.ReadAsync();
        Assert.Equal("a", Assert.Single(response.Resources).Name);
        Assert.NotEmpty(response.Resources[0].Version);
        Assert.Equal(["missing"], response.RemovedResources);
        await stream.AnswerAsync(response);
        await Eventually.Async(() => controlPlane.Services.GetRequiredService<ClientRegistry>().Acks == 1, "the ACK to be counted");
    }

    [Fact]
    public async Task Change_SendsOnlyWhatChangedAndWhatIsGone()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        foreach (var name in new[] { "a", "b", "c" })
        {
            controlPlane.Translator.Set(XdsTypes.Cluster, name, "1");
        }

        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "a", "b", "c");
        await stream.AnswerAsync(await stream.ReadAsync());
        controlPlane.Translator.Set(XdsTypes.Cluster, "b", "2");
        controlPlane.Translator.Remove(XdsTypes.Cluster, "c");
        controlPlane.Source.Publish();
        var response = await stream.ReadAsync();
        Assert.Equal("b", Assert.Single(response.Resources).Name);
        Assert.Equal(["c"], response.RemovedResources);
    }

    [Fact]
    public async Task Change_OfOneServicesEndpoints_MakesOnlyWhatRestsOnThem()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        string[] names = ["a", "b", "c"];
        foreach (var name in names)
        {
            controlPlane.Translator.Set(XdsTypes.Cluster, name, "1");
        }

        controlPlane.Translator.Basis = name => new AnswerBasis { Services = [new ServiceName("shop", name)] };
        controlPlane.Source.Publish(Model("10.0.0.1", "a", "b", "c"));
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, names);
        await stream.AnswerAsync(await stream.ReadAsync());
        var made = controlPlane.Translator.Calls;
        controlPlane.Translator.Set(XdsTypes.Cluster, "b", "2");
        controlPlane.Translator.Set(XdsTypes.Cluster, "c", "2");
        controlPlane.Source.Publish(Model("10.0.0.2", "a", "b", "c"));
        Assert.Equal("b", Assert.Single((await stream.ReadAsync()).Resources).Name);
        Assert.Equal(made + 1, controlPlane.Translator.Calls);

        // Another Service is there: anything may be another.
        controlPlane.Source.Publish(Model("10.0.0.2", "a", "b", "c", "d"));
        Assert.Equal("c", Assert.Single((await stream.ReadAsync()).Resources).Name);

        static MeshModel Model(string addressOfB, params string[] services) => MeshModel.Empty with
        {
            Services = services.ToImmutableDictionary(name => new ServiceName("shop", name), name => new Service(
                new ServiceName("shop", name), [new ServicePort(string.Empty, 80, null)],
                [new ServiceEndpoint(string.Empty, name == "b" ? addressOfB : $"10.0.1.{(int)name[0]}", 80, null, true, string.Empty, false)])),
        };
    }

    [Fact]
    public async Task Reconnect_WithInitialVersions_GetsOnlyTheDifference()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        controlPlane.Translator.Set(XdsTypes.Cluster, "b", "1");
        using var channel = controlPlane.PlaintextChannel();
        DeltaDiscoveryResponse before;
        await using (var stream = new DeltaTestStream(channel))
        {
            await stream.SubscribeAsync(XdsTypes.Cluster, "a", "b");
            before = await stream.ReadAsync();
        }

        controlPlane.Translator.Set(XdsTypes.Cluster, "b", "2");
        controlPlane.Source.Publish();
        await using var again = new DeltaTestStream(channel);
        await again.SendAsync(new DeltaDiscoveryRequest
        {
            Node = TestNode.Create(),
            TypeUrl = XdsTypes.Cluster,
            ResourceNamesSubscribe = { "a", "b", "gone" },
            InitialResourceVersions = { before.Resources.ToDictionary(r => r.Name, r => r.Version), { "gone", "12" } },
        });
        var response = await again.ReadAsync();
        Assert.Equal("b", Assert.Single(response.Resources).Name);
        Assert.Equal(["gone"], response.RemovedResources);
    }

    [Fact]
    public async Task Reconnect_OfResourceThatOurCheckRefuses_KeepsWhatTheClientHas()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "bad");
        controlPlane.Translator.Set(XdsTypes.Cluster, "b", "good");
        controlPlane.Decode = (type, bytes) => bytes.ToStringUtf8().Contains("bad", StringComparison.Ordinal)
            ? new DecodeResult(null, null, [new Mesh.Config.ConfigError("one", "is bad")])
            : new DecodeResult(FakeTranslator.NameOf(type, bytes), new object(), []);
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new DeltaTestStream(channel);
        await stream.SendAsync(new DeltaDiscoveryRequest
        {
            Node = TestNode.Create(),
            TypeUrl = XdsTypes.Cluster,
            ResourceNamesSubscribe = { "a", "b" },
            InitialResourceVersions = { { "a", "from the control plane before" } },
        });
        var response = await stream.ReadAsync();
        Assert.Equal("b", Assert.Single(response.Resources).Name);
        Assert.Empty(response.RemovedResources);
    }

    [Fact]
    public async Task Resubscribe_Resends_AndUnsubscribed_IsSilent()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        controlPlane.Translator.Set(XdsTypes.Cluster, "b", "1");
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "a", "b");
        await stream.ReadAsync();
        await stream.SubscribeAsync(XdsTypes.Cluster, "a");
        Assert.Equal("a", Assert.Single((await stream.ReadAsync()).Resources).Name);
        await stream.SendAsync(new DeltaDiscoveryRequest { TypeUrl = XdsTypes.Cluster, ResourceNamesUnsubscribe = { "a" } });
        var clients = controlPlane.Services.GetRequiredService<ClientRegistry>();
        await Eventually.Async(() => clients.Clients.Single().Types.Single().Resources.Count == 1, "the unsubscription");
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "2");
        controlPlane.Translator.Set(XdsTypes.Cluster, "b", "2");
        controlPlane.Source.Publish();
        Assert.Equal("b", Assert.Single((await stream.ReadAsync()).Resources).Name);
    }

    [Fact]
    public async Task Nack_IsCounted()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "a");
        await stream.AnswerAsync(await stream.ReadAsync(), refuse: "no");
        await Eventually.Async(() => controlPlane.Services.GetRequiredService<ClientRegistry>().Nacks == 1, "the NACK to be counted");
    }

    [Fact]
    public async Task LeafPolicy_Rotation_IsPushedAndSurvivesRestart()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
        DateTimeOffset rotated;
        await using (var controlPlane = await TestControlPlane.StartAsync(folder))
        {
            using var channel = controlPlane.PlaintextChannel();
            await using var stream = new DeltaTestStream(channel);
            await stream.SubscribeAsync(XdsTypes.LeafPolicy, "default");
            Assert.Equal(DateTimeOffset.UnixEpoch, Read(await stream.ReadAsync()));
            rotated = controlPlane.Services.GetRequiredService<LeafPolicyStore>().Rotate();
            Assert.Equal(rotated, Read(await stream.ReadAsync()));
        }

        await using (var controlPlane = await TestControlPlane.StartAsync(folder))
        {
            Assert.Equal(rotated, controlPlane.Services.GetRequiredService<LeafPolicyStore>().IssuedAfter);
        }

        Directory.Delete(folder, recursive: true);

        static DateTimeOffset Read(DeltaDiscoveryResponse response) => LeafPolicy.Parser.ParseFrom(Assert.Single(response.Resources).Resource_.Value).IssuedAfter.ToDateTimeOffset();
    }
}
