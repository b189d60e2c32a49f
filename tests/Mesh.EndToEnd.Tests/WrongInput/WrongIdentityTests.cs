using Mesh.Hosting;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.EndToEnd.Tests.WrongInput;

/// <summary>A workload that cannot get its certificate: it says once what is wrong, goes on trying, and disturbs nobody.</summary>
public sealed class WrongIdentityTests(SharedMesh shared) : IClassFixture<SharedMesh>
{
    [Fact]
    public async Task TrustBundle_OfAnotherAuthority_IsOneErrorNamingTheSetting()
    {
        using var other = new TestCa("cluster.local");
        var bundle = Path.Combine(shared.Mesh.Scratch("other"), "bundle.pem");
        File.WriteAllText(bundle, other.RootPem);

        var message = await RefusedAsync("wrong-bundle", settings => settings["Mesh:TrustBundle"] = bundle);

        Assert.Contains("does not chain to a root in Mesh:TrustBundle", message, StringComparison.Ordinal);
        Assert.Contains(new Uri(shared.Mesh.Grpc).Authority, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_Unknown_IsOneErrorNamingTheSetting()
    {
        var message = await RefusedAsync("wrong-token", settings => settings["Mesh:Token"] = "never-made");

        Assert.Contains("The join token is unknown here", message, StringComparison.Ordinal);
        Assert.Contains("set Mesh:Token or Mesh:TokenFile", message, StringComparison.Ordinal);
        Assert.DoesNotContain("never-made", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_UsedBefore_IsOneErrorSayingSo()
    {
        var token = await shared.Mesh.CreateTokenAsync("used-token");
        await JoinOnceAsync("used-token", token);

        var message = await RefusedAsync("used-token", settings => settings["Mesh:Token"] = token);

        Assert.Contains("The join token was used at", message, StringComparison.Ordinal);
        Assert.Contains("each works once", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_OfAnotherWorkload_IsOneErrorNamingBoth()
    {
        var token = await shared.Mesh.CreateTokenAsync("somebody");

        var message = await RefusedAsync("impostor", settings => settings["Mesh:Token"] = token);

        Assert.Contains("spiffe://cluster.local/ns/shop/sa/impostor", message, StringComparison.Ordinal);
        Assert.Contains("spiffe://cluster.local/ns/shop/sa/somebody", message, StringComparison.Ordinal);
        Assert.Contains("Mesh:ServiceAccount", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Configuration_ByHalf_ListsAllThatIsMissing()
    {
        var failure = await Assert.ThrowsAsync<MeshConfigurationException>(() => shared.Mesh.StartServiceAsync(
            "half", RunningMesh.FreePort(), app => app.MapGet("/", () => "half"), change: settings =>
            {
                settings["Mesh:TrustBundle"] = null;
                settings["Mesh:Token"] = null;
                settings["Mesh:ControlPlane"] = "http://plain:1";
            }));

        Assert.Equal(3, failure.Problems.Count);
        Assert.Contains(failure.Problems, p => p.StartsWith("Mesh:ControlPlane is 'http://plain:1'", StringComparison.Ordinal));
        Assert.Contains(failure.Problems, p => p.StartsWith("Mesh:TrustBundle is not set", StringComparison.Ordinal));
        Assert.Contains(failure.Problems, p => p.StartsWith("Neither Mesh:Token nor Mesh:TokenFile is set", StringComparison.Ordinal));
    }

    private async Task JoinOnceAsync(string account, string token)
    {
        var folder = Path.Combine(shared.Mesh.Scratch("once"), account);
        var (exit, _, errors) = await Cli.RunAsync(
            "identity", "agent", "--once", "--out", folder, "--namespace", "shop", "--service-account", account,
            "--control-plane", shared.Mesh.Grpc, "--trust-bundle", shared.Mesh.TrustBundle, "--token", token);
        Assert.True(exit == 0, errors);
    }

    /// <summary>Starts a workload set up wrongly; returns the one message it logs about its certificate.</summary>
    private async Task<string> RefusedAsync(string account, Action<Dictionary<string, string?>> change)
    {
        await using var calls = new SteadyCalls(shared.Front, "http://catalog/", "ok");
        shared.Mesh.Logs.Clear();
        var app = await shared.Mesh.StartServiceAsync(
            account, RunningMesh.FreePort(), a => a.MapGet("/healthz", () => "alive"), change: change);
        try
        {
            await Eventually.Async(() => Serious().Length > 0, "an error is logged");
            await calls.FlowAsync();

            // It lives, answers its probes, and everybody else goes on.
            using var probe = new HttpClient();
            Assert.Equal("alive", await probe.GetStringAsync(new Uri(app.Urls.Single() + "/healthz"), TestContext.Current.CancellationToken));
            Assert.Empty(await calls.EndAsync());
            var record = Assert.Single(Serious());
            Assert.Equal("CertificateRefused", record.Id.Name);
            return record.Message;
        }
        finally
        {
            await app.StopAsync(CancellationToken.None);
        }
    }

    private FakeLogRecord[] Serious() => [.. shared.Mesh.Logs.GetSnapshot().Where(r => r.Level >= LogLevel.Warning)];
}
