using CsCheck;
using Mesh.Core.Tests.Identity;
using Mesh.Spiffe;
using Mesh.Testing;
using Xunit;

namespace Mesh.Core.Tests.Spiffe;

/// <summary>The one place where a name comes out of a certificate: nothing but one well-formed SPIFFE ID does.</summary>
public sealed class SpiffeCertificateTests : IDisposable
{
    private const string Good = "spiffe://cluster.local/ns/shop/sa/cart";
    private readonly TestCa _ca = new("cluster.local");

    public void Dispose() => _ca.Dispose();

    [Fact]
    public void ReadId_OneUriBesideOtherNames_IsIt()
    {
        Assert.Equal(Good, Read(new SubjectAlternativeNames().Dns("cart").Uri(Good).Build()).Id);
    }

    public static TheoryData<string> Bad => new()
    {
        "spiffe://cluster.local/ns/shop/sa/cart\0",
        "spiffe://cluster.local\0.evil/ns/shop/sa/cart",
        "SPIFFE://cluster.local/ns/shop/sa/cart",
        "Spiffe://cluster.local/ns/shop/sa/cart",
        "spiffe://Cluster.local/ns/shop/sa/cart",
        "spiffe://cluster.local/ns/../sa/cart",
        "spiffe://cluster.local/ns/./sa/cart",
        "spiffe://cluster.local//ns/shop/sa/cart",
        "spiffe://cluster.local/ns/shop/sa/cart/",
        "spiffe://cluster.local/ns/shop/sa/%63art",
        "spiffe://cluster.local/ns/shop/sa/cart?x=1",
        "spiffe://cluster.local/ns/shop/sa/cart#x",
        "spiffe://cluster.local:443/ns/shop/sa/cart",
        "spiffe://user@cluster.local/ns/shop/sa/cart",
        "spiffe:///ns/shop/sa/cart",
        "spiffe://cluster.local/ns/shop/sa/c\u00e4rt",
        " spiffe://cluster.local/ns/shop/sa/cart",
        "https://cluster.local/ns/shop/sa/cart",
        "",
    };

    [Theory]
    [MemberData(nameof(Bad))]
    public void ReadId_MalformedUri_IsRefused(string uri) => Assert.Null(Read(new SubjectAlternativeNames().Uri(uri).Build()).Id);

    [Fact]
    public void ReadId_TooLong_IsRefusedByOneByte()
    {
        var longest = "spiffe://cluster.local/" + new string('a', 2048 - "spiffe://cluster.local/".Length);

        Assert.Equal(longest, Read(new SubjectAlternativeNames().Uri(longest).Build()).Id);
        Assert.Null(Read(new SubjectAlternativeNames().Uri(longest + "a").Build()).Id);
    }

    [Fact]
    public void ReadId_TwoUris_AreRefused()
    {
        Assert.Contains("more than one", Read(new SubjectAlternativeNames().Uri(Good).Uri(Good).Build()).Problem, StringComparison.Ordinal);
        Assert.Contains("more than one", Read(new SubjectAlternativeNames().Uri(Good).Uri("https://x/").Build()).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void ReadId_NoUri_IsRefused() => Assert.Contains("no URI SAN", Read(new SubjectAlternativeNames().Dns("cart.shop.svc").Build()).Problem, StringComparison.Ordinal);

    [Fact]
    public void ReadId_BytesAfterTheNames_AreRefused() => Assert.Contains("malformed", Read([.. new SubjectAlternativeNames().Uri(Good).Build(), 5, 0]).Problem, StringComparison.Ordinal);

    [Fact]
    public void ReadId_MutatedNames_NeverThrowsAndGivesOnlyValidIds()
    {
        var names = new SubjectAlternativeNames().Dns("cart").Uri(Good).Build();
        Gen.Select(Gen.Int[0, names.Length - 1], Gen.Byte).Array[1, 4].Sample(
            changes =>
            {
                var bytes = (byte[])names.Clone();
                foreach (var (at, value) in changes)
                {
                    bytes[at] = value;
                }

                Check(bytes);
            },
            iter: 300,
            threads: 1);
    }

    [Fact]
    public void TryParse_AnyText_IsEitherRefusedOrItsOwnText() => Gen.OneOf(
        Gen.String,
        Gen.Select(Gen.String[Gen.Char["abz09.-_/%:@?#A\0ä"], 0, 40], tail => "spiffe://" + tail),
        Gen.Select(Gen.String[Gen.Char["ab./%-_A"], 0, 20], tail => "spiffe://cluster.local/" + tail)).Sample(
        text =>
        {
            if (SpiffeId.TryParse(text, out var id) && (id.ToString() != text || id.Path.Split('/').Skip(1).Any(segment => segment is "" or "." or "..")))
            {
                throw new InvalidOperationException($"'{text}' was read as '{id}'");
            }
        },
        iter: 50_000);

    private void Check(byte[] names)
    {
        if (Read(names).Id is { } id && !SpiffeId.TryParse(id, out _))
        {
            throw new InvalidOperationException($"'{id}' is no SPIFFE ID");
        }
    }

    private (string? Id, string? Problem) Read(byte[] names)
    {
        using var leaf = _ca.Odd(new OddLeaf { Names = names }).Svid.Leaf;
        return SpiffeCertificate.TryReadId(leaf, out var id, out var problem) ? (id.ToString(), null) : (null, problem);
    }
}
