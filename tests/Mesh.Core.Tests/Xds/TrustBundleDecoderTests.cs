using Google.Protobuf;
using Mesh.Spiffe;
using Mesh.Testing;
using Xunit;
using static Mesh.Xds.DecodeAssert;

namespace Mesh.Xds;

public sealed class TrustBundleDecoderTests : IDisposable
{
    private readonly TestCa _ca = new("cluster.local", withIssuer: true);
    private readonly TestCa _next = new("cluster.local");

    public void Dispose()
    {
        _ca.Dispose();
        _next.Dispose();
    }

    [Fact]
    public void Decode_All_IsRead()
    {
        var bundle = Valid<TrustBundle>(new Protos.Identity.TrustBundle
        {
            Name = "cluster.local",
            Roots = { Der(_ca), Der(_next) },
            RevokedIds = { "spiffe://cluster.local/ns/shop/sa/cart" },
            RevokedSerials = { "1f", new string('a', 40) },
        });

        Assert.Equal("cluster.local", bundle.TrustDomain.Name);
        Assert.Equal([_ca.Root.Thumbprint, _next.Root.Thumbprint], bundle.Roots.Select(r => r.Thumbprint));
        Assert.Equal(SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart"), Assert.Single(bundle.RevokedIds));
        Assert.True(bundle.RevokedSerials.SetEquals(["1f", new string('a', 40)]));
    }

    [Fact]
    public void Decode_EverythingWrong_NamesEveryPlace() => Invalid(
        new Protos.Identity.TrustBundle
        {
            Name = "Not A Domain",
            Roots =
            {
                ByteString.CopyFromUtf8("no certificate"),
                ByteString.CopyFromUtf8(_ca.RootPem),
                ByteString.CopyFrom([.. _ca.Root.RawData, 0]),
                ByteString.CopyFrom(_ca.Identity("shop", "cart").Svid.Leaf.RawData),
                ByteString.CopyFrom(_ca.Issuer!.RawData),
                Der(_ca),
                Der(_ca),
            },
            RevokedIds = { "cart" },
            RevokedSerials = { "", "0a", "AB", "xyz", new string('a', 41), "1", "1" },
        },
        "name", "roots[0]", "roots[1]", "roots[2]", "roots[3]", "roots[4]", "roots[6]", "revoked_ids[0]",
        "revoked_serials[0]", "revoked_serials[1]", "revoked_serials[2]", "revoked_serials[3]", "revoked_serials[4]", "revoked_serials[6]");

    [Fact]
    public void Decode_NoRootsForeignAndRepeatedIds_AreRefused() => Invalid(
        new Protos.Identity.TrustBundle
        {
            Name = "cluster.local",
            RevokedIds = { "spiffe://other.local/a", "spiffe://cluster.local/a", "spiffe://cluster.local/a" },
        },
        "roots", "revoked_ids[0]", "revoked_ids[2]");

    private static ByteString Der(TestCa ca) => ByteString.CopyFrom(ca.Root.RawData);
}
