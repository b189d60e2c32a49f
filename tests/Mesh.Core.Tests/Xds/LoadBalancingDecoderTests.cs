using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.LoadBalancing;
using Mesh.Protos.Envoy.Matcher;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using HashWire = Mesh.Protos.Envoy.Route.RouteAction.Types.HashPolicy;
using RingConfig = Mesh.Protos.Envoy.Cluster.Cluster.Types.RingHashLbConfig;
using Wire = Mesh.Protos.Envoy.Cluster;

namespace Mesh.Xds;

public sealed class LoadBalancingDecoderTests
{
    private const string First = "load_balancing_policy.policies[0].typed_extension_config.typed_config";

    [Fact]
    [Trait("gRFC", "A42")]
    public void RingHash_OldField_IsReadWithItsDefaults()
    {
        Assert.Equal((LoadBalancing.RingHash, new RingHashSize(1024, 8_388_608)), Read(Old(null)));
        Assert.Equal(new RingHashSize(7, 9), Read(Old(new() { MinimumRingSize = 7, MaximumRingSize = 9 })).Ring);
    }

    [Fact]
    [Trait("gRFC", "A42")]
    public void RingHash_BadSettings_AreRefused()
    {
        Invalid(Old(new() { HashFunction = RingConfig.Types.HashFunction.MurmurHash2 }), "ring_hash_lb_config.hash_function");
        Invalid(Old(new() { MaximumRingSize = 8_388_609 }), "ring_hash_lb_config.maximum_ring_size");
        Invalid(Old(new() { MinimumRingSize = ulong.MaxValue }), "ring_hash_lb_config.minimum_ring_size");
        Invalid(Old(new() { MaximumRingSize = 1000 }), "ring_hash_lb_config.minimum_ring_size");
        Invalid(
            List(new RingHash { HashFunction = RingHash.Types.HashFunction.MurmurHash2, MinimumRingSize = 5, MaximumRingSize = 4 }),
            $"{First}.hash_function",
            $"{First}.minimum_ring_size");
    }

    [Fact]
    [Trait("gRFC", "A52")]
    public void RingHash_InTheList_IsRead()
    {
        Assert.Equal((LoadBalancing.RingHash, new RingHashSize(1024, 8_388_608)), Read(List(new RingHash())));
        Assert.Equal(new RingHashSize(16, 32), Read(List(new RingHash { HashFunction = RingHash.Types.HashFunction.XxHash, MinimumRingSize = 16, MaximumRingSize = 32 })).Ring);
    }

    [Fact]
    [Trait("gRFC", "A62")]
    public void PickFirst_InTheList_IsRead()
    {
        Assert.Equal((LoadBalancing.PickFirst, false), Shuffle(new PickFirst()));
        Assert.Equal((LoadBalancing.PickFirst, true), Shuffle(new PickFirst { ShuffleAddressList = true }));

        static (LoadBalancing, bool) Shuffle(PickFirst policy) => Valid<Cluster>(List(policy)) is var c ? (c.LoadBalancing, c.ShuffleEndpoints) : default;
    }

    [Fact]
    [Trait("gRFC", "A52")]
    public void List_KnownPolicyWithBrokenBytes_IsRefusedAlthoughAnotherFollows()
    {
        var given = List(new RingHash(), new PickFirst());
        given.LoadBalancingPolicy.Policies[0].TypedExtensionConfig.TypedConfig.Value = ByteString.CopyFrom(0x12, 0xFF);
        Invalid(given, First);
    }

    [Fact]
    [Trait("gRFC", "A52")]
    public void List_WrrLocality_IsLookedInto()
    {
        Assert.Equal(LoadBalancing.RingHash, Read(List(Nest(new RingHash(), 1))).Policy);
        Assert.Equal(LoadBalancing.PickFirst, Read(List(Nest(new PickFirst(), 15))).Policy);
        Invalid(List(new WrrLocality()), $"{First}.endpoint_picking_policy");
        const string Deeper = ".endpoint_picking_policy.policies[0].typed_extension_config.typed_config";
        Invalid(List(Nest(new PickFirst(), 16)), $"{First}{string.Concat(Enumerable.Repeat(Deeper, 15))}.endpoint_picking_policy");
    }

    [Fact]
    [Trait("gRFC", "A76")]
    public void HashKey_OfAnEndpoint_IsReadWhenItIsText()
    {
        Assert.Equal("pod-1", Key(Value.ForString("pod-1")));
        Assert.Null(Key(Value.ForString("")));
        Assert.Null(Key(Value.ForNumber(1)));

        static string? Key(Value value)
        {
            var given = XdsResources.Endpoints("e", 80);
            given.Endpoints[0].LbEndpoints[0].Metadata = new Metadata { FilterMetadata = { ["envoy.lb"] = new Struct { Fields = { ["hash_key"] = value } } } };
            return Valid<LoadAssignment>(given).Localities[0].Endpoints[0].HashKey;
        }
    }

    [Fact]
    [Trait("gRFC", "A42")]
    public void HashPolicies_KnownOnes_AreReadInOrder()
    {
        var policies = Policies(
            new HashWire { Header = new() { HeaderName = "User" }, Terminal = true },
            new HashWire(),
            new HashWire { FilterState = new() { Key = "else" } },
            new HashWire { FilterState = new() { Key = "io.grpc.channel_id" } });

        Assert.Equal([new HashPolicy("user", true), new HashPolicy(null, false)], policies);
    }

    [Theory]
    [InlineData("([a-z])([0-9])", @"\2\1", "a1-b2", "1a-2b")]
    [InlineData("[0-9]", @"$1\\", "a1", @"a$1\")]
    [InlineData("b+", @"<\0>", "abbc", "a<bb>c")]
    [Trait("gRFC", "A42")]
    public void HashPolicies_Rewrite_SpeaksRe2(string pattern, string substitution, string value, string expected)
    {
        var rewrite = Policies(Rewriting(pattern, substitution)).Single().Rewrite!;
        Assert.Equal(expected, rewrite.Expression.Replace(value, rewrite.Replacement));
    }

    [Fact]
    [Trait("gRFC", "A42")]
    public void HashPolicies_Wrong_AreRefused()
    {
        const string Path = "virtual_hosts[0].routes[0].route.hash_policy";
        var given = Routes(
            new HashWire { Header = new() },
            Rewriting("(", "x"),
            Rewriting("a", @"\1"),
            Rewriting("a", @"\"),
            new HashWire { Header = new() { HeaderName = "h", RegexRewrite = new() } });
        Invalid(
            given,
            $"{Path}[0].header.header_name",
            $"{Path}[1].header.regex_rewrite.pattern.regex",
            $"{Path}[2].header.regex_rewrite.substitution",
            $"{Path}[3].header.regex_rewrite.substitution",
            $"{Path}[4].header.regex_rewrite.pattern");
    }

    private static HashWire Rewriting(string pattern, string substitution) => new()
    {
        Header = new() { HeaderName = "h", RegexRewrite = new RegexMatchAndSubstitute { Pattern = new RegexMatcher { Regex = pattern }, Substitution = substitution } },
    };

    private static IReadOnlyList<HashPolicy> Policies(params HashWire[] policies) =>
        Assert.IsType<RouteAction.Forward>(Valid<RouteConfiguration>(Routes(policies)).VirtualHosts[0].Routes[0].Action).HashPolicies;

    private static Protos.Envoy.Route.RouteConfiguration Routes(params HashWire[] policies)
    {
        var action = new Protos.Envoy.Route.RouteAction { Cluster = "c", HashPolicy = { policies } };
        return new() { Name = "r", VirtualHosts = { new Protos.Envoy.Route.VirtualHost { Domains = { "*" }, Routes = { new Protos.Envoy.Route.Route { Match = new() { Prefix = "/" }, Route_ = action } } } } };
    }

    private static (LoadBalancing Policy, RingHashSize Ring) Read(Wire.Cluster given) => Valid<Cluster>(given) is var c ? (c.LoadBalancing, c.RingHash) : default;

    private static Wire.Cluster Old(RingConfig? config)
    {
        var given = XdsResources.Cluster("c");
        given.LbPolicy = Wire.Cluster.Types.LbPolicy.RingHash;
        given.RingHashLbConfig = config;
        return given;
    }

    private static Wire.Cluster List(params IMessage[] policies)
    {
        var given = XdsResources.Cluster("c");
        given.LoadBalancingPolicy = PolicyList(policies);
        return given;
    }

    private static Wire.LoadBalancingPolicy PolicyList(params IMessage[] policies) => new()
    {
        Policies = { policies.Select(p => new Wire.LoadBalancingPolicy.Types.Policy { TypedExtensionConfig = new TypedExtensionConfig { TypedConfig = Any.Pack(p) } }) },
    };

    private static IMessage Nest(IMessage policy, int times) => times == 0 ? policy : Nest(new WrrLocality { EndpointPickingPolicy = PolicyList(policy) }, times - 1);
}
