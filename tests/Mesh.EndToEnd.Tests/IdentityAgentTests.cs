using System.Security.Cryptography.X509Certificates;
using Mesh.Testing;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>The agent that keeps certificate files for peers that read files.</summary>
public sealed class IdentityAgentTests
{
    [Fact]
    public async Task Agent_RotatedAndTerminated_SwapsAllFilesAtOnceAndEndsWithZero()
    {
        await using var mesh = await RunningMesh.StartAsync(("cart.yaml", RunningMesh.ServiceYaml("cart", 80)));
        var folder = Path.Combine(mesh.Scratch("agent"), "certs");
        await using var agent = ChildProcess.StartOurs(
            "mesh", "identity", "agent", "--out", folder, "--namespace", "shop", "--service-account", "cart",
            "--control-plane", mesh.Grpc, "--trust-bundle", mesh.TrustBundle, "--token", await mesh.CreateTokenAsync("cart"));

        // The link that a reader follows last: once it is there, so is all it leads to.
        await Eventually.Async(() => Directory.Exists(folder) && new FileInfo(Path.Combine(folder, "ca.crt")).LinkTarget is not null, "the agent writes its files", TimeSpan.FromSeconds(30));
        var first = Read(folder);
        Assert.All(new[] { "tls.crt", "tls.key", "ca.crt" }, name => Assert.Equal($"..data/{name}", new FileInfo(Path.Combine(folder, name)).LinkTarget));
        var key = new FileInfo(Path.Combine(folder, "tls.key")).ResolveLinkTarget(returnFinalTarget: true)!;
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key.FullName));
        }

        using (var root = X509CertificateLoader.LoadCertificateFromFile(Path.Combine(folder, "ca.crt")))
        {
            Assert.Equal(File.ReadAllText(mesh.TrustBundle).Trim(), root.ExportCertificatePem());
        }

        // Read all the time while it is swapped: each read must see one generation's pair, whole.
        using var stop = new CancellationTokenSource();
        var reads = 0;
        var reading = Task.Run(
            () =>
            {
                while (!stop.IsCancellationRequested)
                {
                    Read(folder);
                    Interlocked.Increment(ref reads);
                }
            },
            TestContext.Current.CancellationToken);
        var seen = first;
        for (var i = 0; i < 2; i++)
        {
            var before = seen;
            using var answer = await mesh.Api.PostAsync(new Uri("/api/v1/identity/rotate", UriKind.Relative), null, TestContext.Current.CancellationToken);
            answer.EnsureSuccessStatusCode();
            await Eventually.Async(() => reading.IsCompleted || (seen = Read(folder)) != before, "a new serial appears", TimeSpan.FromSeconds(30));
        }

        await stop.CancelAsync();
        await reading;
        Assert.True(reads > 10, $"{reads} reads");
        Assert.NotEqual(first, seen);
        var issued = (await mesh.GetAsync("/api/v1/identities")).Select(i => i.GetProperty("serial").GetString()!.TrimStart('0')).ToArray();
        Assert.Contains(seen.TrimStart('0'), issued, StringComparer.OrdinalIgnoreCase);

        await agent.TerminateAsync();
        Assert.Equal((0, ""), (await agent.ExitAsync(TimeSpan.FromSeconds(10)), agent.Output));
        Assert.Equal(seen, Read(folder));
    }

    /// <summary>The serial; fails unless key and certificate are there and belong together. The folder's link is followed once, then each file of that generation is read.</summary>
    private static string Read(string folder)
    {
        var generation = Path.Combine(folder, new FileInfo(Path.Combine(folder, "..data")).LinkTarget!);
        var (certificate, key) = (File.ReadAllText(Path.Combine(generation, "tls.crt")), File.ReadAllText(Path.Combine(generation, "tls.key")));
        using var pair = X509Certificate2.CreateFromPem(certificate, key);
        return pair.SerialNumber;
    }
}
