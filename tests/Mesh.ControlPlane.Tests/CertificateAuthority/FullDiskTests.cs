using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Xds;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.CertificateAuthority;

/// <summary>The data folder can't be written for a while: nothing may be lost by it.</summary>
public sealed class FullDiskTests : IDisposable
{
    private static readonly SpiffeId Cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
    private readonly FakeTimeProvider _time = new();
    private readonly DataFolder _data;

    public FullDiskTests() => _data = new DataFolder(_folder);

    public void Dispose()
    {
        _data.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Token_WhoseUseCannotBeSaved_StaysGood()
    {
        var tokens = new JoinTokens(_data, Cart.TrustDomain, _time);
        var token = tokens.Create("shop", "cart").Token;
        var obstacle = Obstruct("tokens.json");

        Assert.ThrowsAny<SystemException>(() => tokens.Redeem(token, out _));
        Assert.ThrowsAny<SystemException>(() => tokens.Create("shop", "other"));
        Directory.Delete(obstacle);

        Assert.Equal(Cart, tokens.Redeem(token, out _));
        Assert.Null(tokens.Redeem(token, out var problem));
        Assert.Contains("each works once", problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Mark_ThatCannotBeSaved_IsSavedLaterUnasked()
    {
        await using var marks = new MeshMarks(_data, new AbsentMarks(new ModelStore(), Cart.TrustDomain, _time), _time, NullLogger<MeshMarks>.Instance);
        var obstacle = Obstruct("marks.json");
        marks.Record("10.0.0.1:80", Cart);
        _time.Advance(TimeSpan.FromSeconds(6));
        Assert.False(marks.IsMeshed("10.0.0.1:80", Cart));
        Directory.Delete(obstacle);

        await Eventually.Async(
            () =>
            {
                _time.Advance(TimeSpan.FromSeconds(6));
                return marks.IsMeshed("10.0.0.1:80", Cart);
            },
            "the mark to be saved by itself");
    }

    [Fact]
    public void FirstStart_CutOffAfterTheKey_BeginsAnew_ButNeverReplacesARootInUse()
    {
        var random = new Org.BouncyCastle.Security.SecureRandom();
        var loader = new AuthorityLoader(
            _data, new MeshControlPlaneOptions(), new CertificateMaker(Cart.TrustDomain, CaKeyKind.P256, _time, random), _time, NullLogger<AuthorityLoader>.Instance);
        _data.Write("root-key.pem", "the key of a first start that was cut off", secret: true);
        Assert.Equal(RotationPhase.Stable, loader.Load(null, out _).Phase);

        _data.Write(TrustBundleStore.FileName, "workloads trust its certificate", secret: false);
        var refused = Assert.Throws<InvalidDataException>(() => loader.Load(null, out _));
        Assert.Contains("root-cert.pem", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void IssuanceLog_IsReadableByItsOwnerOnly()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var log = new IssuanceLog(_data, _time, NullLogger<IssuanceLog>.Instance);
        log.Add(new Issuance(Cart.ToString(), "node", "01", default, default, default));
        log.Add(new Issuance(Cart.ToString(), "node", "02", default, default, default));

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_data.File("issued.jsonl")));
        Assert.Equal(2, File.ReadAllLines(_data.File("issued.jsonl")).Length);
    }

    /// <summary>What root is refused as well: a folder where the next version of the file would be written.</summary>
    private string Obstruct(string file) => Directory.CreateDirectory(_data.File(file + ".new")).FullName;
}
