using System.Security.Cryptography.X509Certificates;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.Core.Tests.Identity;

/// <summary>Certificates from files that somebody else keeps current.</summary>
public sealed class FileSvidSourceTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mesh-files-");
    private readonly JumpingTime _time = new(TimeProvider.System.GetUtcNow());
    private readonly TestCa _ca;
    private readonly FileSvidSource _source;

    public FileSvidSourceTests()
    {
        _ca = new TestCa("cluster.local", _time, withIssuer: true);
        _source = Source(TrustDomain.Parse("cluster.local"));
        Write(_ca.Identity("shop", "cart"));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _ca.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Fetch_WholeFiles_GivesThemAndOwnsTrust()
    {
        var issued = await _source.FetchAsync(null, Token);

        Assert.Equal("spiffe://cluster.local/ns/shop/sa/cart", issued.Svid.Id.ToString());
        Assert.True(issued.Svid.Leaf.HasPrivateKey);
        Assert.Equal(_ca.Issuer!.Thumbprint, Assert.Single(issued.Svid.Intermediates).Thumbprint);
        Assert.True(issued.OwnsTrust);
    }

    [Fact]
    public async Task Rotator_LinkMoved_TakesTheNewPairWithoutARestart()
    {
        // As Kubernetes mounts secrets: the files are links into a folder that one link names.
        var (first, second) = (_ca.Identity("shop", "cart"), _ca.Identity("shop", "cart"));
        Generation("one", first);
        Generation("two", second);
        foreach (var name in new[] { "tls.crt", "tls.key", "ca.crt" })
        {
            File.Delete(InFolder(name));
            File.CreateSymbolicLink(InFolder(name), Path.Combine("..data", name));
        }

        File.CreateSymbolicLink(InFolder("..data"), "one");
        var logger = new FakeLogger<SvidRotator>();
        await using var rotator = new SvidRotator(_source, _time, new Random(1), logger);
        rotator.Start(new SnapshotStore());
        Assert.Equal(first.Svid.Leaf.Thumbprint, (await rotator.GetAsync(Token)).Svid.Leaf.Thumbprint);

        File.Delete(InFolder("..data"));
        File.CreateSymbolicLink(InFolder("..data"), "two");
        await Breath.AdvanceAsync(_time, FileSvidSource.LookEvery + TimeSpan.FromSeconds(1));

        await Eventually.Async(() => rotator.Current!.Svid.Leaf.Thumbprint == second.Svid.Leaf.Thumbprint, "the new pair is in force");
        Assert.DoesNotContain(logger.Collector.GetSnapshot(), l => l.Level >= LogLevel.Warning);
    }

    [Fact]
    public async Task Rotator_PairBroken_KeepsTheLastGoodSaysSoAndTakesTheRepairedOne()
    {
        var logger = new FakeLogger<SvidRotator>();
        await using var rotator = new SvidRotator(_source, _time, new Random(1), logger);
        rotator.Start(new SnapshotStore());
        var first = await rotator.GetAsync(Token);
        var second = _ca.Identity("shop", "cart");

        File.WriteAllText(InFolder("tls.key"), Key(second));
        await Breath.AdvanceAsync(_time, TimeSpan.FromSeconds(10));
        await Eventually.Async(() => rotator.Problem is not null, "the problem is known");
        Assert.Contains("are no pair", rotator.Problem, StringComparison.Ordinal);
        Assert.Same(first, rotator.Current);
        Assert.Single(logger.Collector.GetSnapshot(), l => l.Level == LogLevel.Error);
        Write(second);
        await Breath.AdvanceAsync(_time, TimeSpan.FromSeconds(40));

        await Eventually.Async(() => rotator.Current!.Svid.Leaf.Thumbprint == second.Svid.Leaf.Thumbprint, "the repaired pair is in force");
        Assert.Null(rotator.Problem);
    }

    [Fact]
    public async Task Rotator_BundleChanged_MakesAGenerationWithTheSameLeaf()
    {
        await using var rotator = new SvidRotator(_source, _time, new Random(1), new FakeLogger<SvidRotator>());
        rotator.Start(new SnapshotStore());
        await rotator.GetAsync(Token);
        using var next = new TestCa("cluster.local", _time);

        File.AppendAllText(InFolder("ca.crt"), "\n" + next.RootPem);
        await Breath.AdvanceAsync(_time, TimeSpan.FromSeconds(10));

        await Eventually.Async(() => rotator.Current!.Bundle.HasRoot(next.Root.Thumbprint), "the new root counts");
        Assert.Equal(1, rotator.Current!.LeafGeneration);
    }

    [Theory]
    [InlineData("tls.crt", "nothing", "are no pair")]
    [InlineData("tls.key", "nothing", "are no pair")]
    [InlineData("ca.crt", "nothing", "holds no certificate")]
    [InlineData("tls.crt", null, "cannot be read")]
    [InlineData("tls.key", null, "cannot be read")]
    [InlineData("ca.crt", null, "cannot be read")]
    public async Task Fetch_BrokenFile_SaysWhich(string name, string? text, string expected)
    {
        if (text is null)
        {
            File.Delete(InFolder(name));
        }
        else
        {
            File.WriteAllText(InFolder(name), text);
        }

        var e = await Assert.ThrowsAsync<SvidException>(() => _source.FetchAsync(null, Token));

        Assert.True(e.NeedsPerson);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_OtherRootExpiredOrOtherDomain_SaysSo()
    {
        using var other = new TestCa("cluster.local", _time);
        File.WriteAllText(InFolder("ca.crt"), other.RootPem);
        Assert.Contains("does not chain", (await FailsAsync(_source)).Message, StringComparison.Ordinal);

        Write(_ca.Identity("shop", "cart", TimeSpan.FromMinutes(-1)));
        Assert.Contains("not valid now", (await FailsAsync(_source)).Message, StringComparison.Ordinal);

        Write(_ca.Identity("shop", "cart"));
        Assert.Contains("of another trust domain than 'mesh.example'", (await FailsAsync(Source(TrustDomain.Parse("mesh.example")))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fetch_KeyInTheWrongFile_NeverTellsIt()
    {
        var key = Key(_ca.Identity("shop", "cart"));
        File.WriteAllText(InFolder("tls.crt"), key);
        File.WriteAllText(InFolder("ca.crt"), _ca.RootPem);

        var text = (await FailsAsync(_source)).ToString();

        Assert.DoesNotContain(key.Split('\n')[1], text, StringComparison.Ordinal);
    }

    private static async Task<SvidException> FailsAsync(FileSvidSource source) => await Assert.ThrowsAsync<SvidException>(() => source.FetchAsync(null, Token));

    private FileSvidSource Source(TrustDomain domain) => new(InFolder("tls.crt"), InFolder("tls.key"), InFolder("ca.crt"), domain, _time);

    private string InFolder(string name) => Path.Combine(_folder.FullName, name);

    private void Write(WorkloadIdentity identity) => WriteTo(_folder.FullName, identity);

    private void Generation(string name, WorkloadIdentity identity) => WriteTo(Directory.CreateDirectory(InFolder(name)).FullName, identity);

    private static void WriteTo(string folder, WorkloadIdentity identity)
    {
        File.WriteAllText(Path.Combine(folder, "tls.crt"), string.Join('\n', [identity.Svid.Leaf.ExportCertificatePem(), .. identity.Svid.Intermediates.Select(i => i.ExportCertificatePem())]));
        File.WriteAllText(Path.Combine(folder, "tls.key"), Key(identity));
        File.WriteAllText(Path.Combine(folder, "ca.crt"), identity.Bundle.Roots[0].ExportCertificatePem());
    }

    private static string Key(WorkloadIdentity identity)
    {
        using var key = identity.Svid.Leaf.GetECDsaPrivateKey()!;
        return key.ExportPkcs8PrivateKeyPem();
    }
}
