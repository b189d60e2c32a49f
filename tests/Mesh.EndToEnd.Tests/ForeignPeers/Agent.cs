using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Mesh.Testing;
using Xunit;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>The identity agent of a workload that is not ours, and the bootstrap that names its files.</summary>
internal static class Agent
{
    public static string Certificates(RunningMesh mesh, string account) => Path.Combine(mesh.Scratch(account), "certs");

    /// <summary>What its files say now: certificate, key, and what stands between it and its root.</summary>
    public static SslStreamCertificateContext Identity(RunningMesh mesh, string account)
    {
        var file = Path.Combine(Certificates(mesh, account), "tls.crt");
        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(file);
        return SslStreamCertificateContext.Create(X509Certificate2.CreateFromPemFile(file, Path.Combine(Certificates(mesh, account), "tls.key")), chain, offline: true);
    }

    /// <summary>Starts it; its files are there.</summary>
    public static async Task<ChildProcess> StartAsync(RunningMesh mesh, string account, params string[] more)
    {
        var folder = Certificates(mesh, account);
        var agent = ChildProcess.StartOurs(
            "mesh", [
                "identity", "agent", "--out", folder, "--namespace", "shop", "--service-account", account,
                "--control-plane", mesh.Grpc, "--trust-bundle", mesh.TrustBundle, "--token", await mesh.CreateTokenAsync(account), .. more]);
        await Eventually.Async(() => File.Exists(Path.Combine(folder, "ca.crt")), "the agent writes its files: " + agent.Errors, TimeSpan.FromSeconds(30));
        return agent;
    }

    /// <returns>The file for <c>GRPC_XDS_BOOTSTRAP</c>.</returns>
    public static async Task<string> BootstrapAsync(RunningMesh mesh, string account)
    {
        await using var bootstrap = ChildProcess.StartOurs(
            "mesh", "xds", "bootstrap", "--namespace", "shop", "--certs", Certificates(mesh, account), "--ads-server", mesh.Ads);
        Assert.True(await bootstrap.ExitAsync(TimeSpan.FromSeconds(30)) == 0, bootstrap.Errors);
        var file = Path.Combine(mesh.Scratch(account), "bootstrap.json");
        await File.WriteAllTextAsync(file, bootstrap.Output);
        return file;
    }
}
