using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Cli.Agent;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Spiffe;

namespace Mesh.Cli.Tests;

public sealed class IdentityAgentTests : IDisposable
{
    private readonly InMemoryConfigSource _config = new();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mesh-cli-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Files_Written_HoldMatchingKeyThatOnlyTheOwnerReads()
    {
        var identity = Identity(1);

        new IdentityFiles(_folder.FullName).Write(identity);

        using var read = X509Certificate2.CreateFromPemFile(InFolder("tls.crt"), InFolder("tls.key"));
        Assert.Equal(identity.Svid.Leaf.Thumbprint, read.Thumbprint);
        Assert.True(read.HasPrivateKey);
        Assert.StartsWith("-----BEGIN PRIVATE KEY-----", File.ReadAllText(InFolder("tls.key")), StringComparison.Ordinal);
        Assert.Equal(identity.Bundle.Roots[0].ExportCertificatePem(), File.ReadAllText(InFolder("ca.crt")).Trim());
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(File.ResolveLinkTarget(InFolder("tls.key"), returnFinalTarget: true)!.FullName));
        }
    }

    [Fact]
    public void Files_WrittenAgain_ReplacedAtOnceAndOnlyTheLastBeforeStays()
    {
        var files = new IdentityFiles(_folder.FullName);
        files.Write(Identity(1));
        // Left by an agent that was killed while it wrote.
        Directory.CreateDirectory(InFolder($"..{Guid.NewGuid():N}"));
        var (second, third) = (Identity(2), Identity(3));

        files.Write(second);
        var link = new FileInfo(InFolder("..data")).LinkTarget!;
        files.Write(third);

        using var read = X509Certificate2.CreateFromPemFile(InFolder("tls.crt"), InFolder("tls.key"));
        Assert.Equal(third.Svid.Leaf.Thumbprint, read.Thumbprint);
        // Who followed the link just before the swap still finds a whole pair.
        using var late = X509Certificate2.CreateFromPemFile(InFolder($"{link}/tls.crt"), InFolder($"{link}/tls.key"));
        Assert.Equal(second.Svid.Leaf.Thumbprint, late.Thumbprint);
        Assert.Equal(2, _folder.GetDirectories("..*").Count(folder => folder.LinkTarget is null));
    }

    [Fact]
    public void Files_TargetIsAFolder_SaysSo()
    {
        Directory.CreateDirectory(InFolder("tls.crt"));

        var error = Assert.Throws<IOException>(() => new IdentityFiles(_folder.FullName).Write(Identity(1)));

        Assert.Contains("tls.crt", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Agent_Once_WritesAndEnds()
    {
        var run = await RunAgentAsync(new FixedIdentitySource(Identity(1)), once: true, CancellationToken.None);

        Assert.Equal((0, ""), (run.ExitCode, run.Out));
        Assert.True(File.Exists(InFolder("tls.crt")));
    }

    [Fact]
    public async Task Agent_Renewal_IsWritten()
    {
        var source = new FixedIdentitySource(Identity(1));
        using var stop = new CancellationTokenSource();
        var running = RunAgentAsync(source, once: false, stop.Token);
        var second = Identity(2);
        source.Replace(second);

        while (!File.Exists(InFolder("tls.crt")) || !File.ReadAllText(InFolder("tls.crt")).Contains(second.Svid.Leaf.ExportCertificatePem(), StringComparison.Ordinal))
        {
            Assert.False(running.IsCompleted);
            await Task.Yield();
        }

        await stop.CancelAsync();
        Assert.Equal(130, (await running).ExitCode);
    }

    [Fact]
    public async Task Agent_NoCertificateInTime_Exits124()
    {
        var run = await RunAgentAsync(new NeverSource(), once: true, CancellationToken.None);

        Assert.Equal(124, run.ExitCode);
        Assert.Contains("no certificate was issued", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Agent_BundleMissing_Exits65()
    {
        var run = await CliRun.RunAsync([], ["identity", "agent", "--out", _folder.FullName, "--service-account", "cart", "--control-plane", "https://127.0.0.1:1",
            "--trust-bundle", InFolder("nothing.pem"), "--token", "t"]);

        Assert.Equal(65, run.ExitCode);
        Assert.Contains("nothing.pem", run.Error, StringComparison.Ordinal);
    }

    private string InFolder(string name) => Path.Combine(_folder.FullName, name);

    [Fact]
    public async Task Agent_Serves_AsksForEachAddressAndSaysWhichIsNoEndpoint()
    {
        var endpoint = new Listener("meshlib/inbound?address=10.0.0.7:8080");
        _config.Set(MeshSnapshot.Empty with { Listeners = MeshSnapshot.Empty.Listeners.Add(endpoint.Name, new ListenerResult.Found(endpoint, null)) });
        using var stop = new CancellationTokenSource();
        var running = RunAgentAsync(new FixedIdentitySource(Identity(1)), once: false, stop.Token, "--serves", "10.0.0.7:8080,[::1]:9000");

        while (!File.Exists(InFolder("tls.crt")))
        {
            Assert.False(running.IsCompleted);
            await Task.Yield();
        }

        Assert.Contains("meshlib/inbound?address=[::1]:9000", _config.Snapshots.Current.Listeners.Keys);
        await stop.CancelAsync();
        var run = await running;
        Assert.Contains("[::1]:9000 is no endpoint of a Service", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("10.0.0.7:8080", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("10.0.0.7", false, "does not take '10.0.0.7'")]
    [InlineData("10.0.0.7:0", false, "does not take '10.0.0.7:0'")]
    [InlineData("localhost:80", false, "does not take 'localhost:80'")]
    [InlineData("10.0.0.7:80,", false, "does not take ''")]
    [InlineData("::1", false, "does not take '::1'")]
    [InlineData("10.0.0.7:80", true, "leave --once out")]
    public async Task Agent_ServesNoAddressOrOnce_Exits64(string serves, bool once, string expected)
    {
        var run = await RunAgentAsync(new FixedIdentitySource(Identity(1)), once, CancellationToken.None, "--serves", serves);

        Assert.Equal(64, run.ExitCode);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
    }

    private async Task<CliRun> RunAgentAsync(IWorkloadIdentitySource source, bool once, CancellationToken cancellationToken, params string[] more)
    {
        var bundle = InFolder("bundle.pem");
        await File.WriteAllTextAsync(bundle, "-", CancellationToken.None);
        string[] args = ["identity", "agent", "--out", _folder.FullName, "--namespace", "shop", "--service-account", "cart",
            "--control-plane", "https://127.0.0.1:1", "--trust-bundle", bundle, "--token", "t", "--timeout", "500ms", .. more];
        return await CliRun.RunAsync([], once ? [.. args, "--once"] : args, (options, _) =>
        {
            Assert.Equal(("shop", "cart", "t"), (options.Namespace, options.ServiceAccount, options.Token));
            return Task.FromResult(new OpenedIdentity(source, _config, new Nothing()));
        }, cancellationToken);
    }

    private static WorkloadIdentity Identity(int generation)
    {
        var domain = TrustDomain.Parse("cluster.local");
        var id = SpiffeId.ForServiceAccount(domain, "shop", "cart");
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=test", key, HashAlgorithmName.SHA256);
        var leaf = request.CreateSelfSigned(DateTimeOffset.UnixEpoch.AddYears(50), DateTimeOffset.UnixEpoch.AddYears(90));
        return new WorkloadIdentity(new X509Svid(id, leaf, []), new TrustBundle(domain, [leaf]), generation);
    }

    private sealed class NeverSource : IWorkloadIdentitySource
    {
        public WorkloadIdentity? Current => null;

        public string? Problem { get; }

        public async ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
            throw new InvalidOperationException();
        }
    }

    private sealed class Nothing : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => default;
    }
}
