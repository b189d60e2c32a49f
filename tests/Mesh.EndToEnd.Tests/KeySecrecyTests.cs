using System.Security.Cryptography.X509Certificates;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>A private key and a token are nowhere but where they must be: every log of a running mesh, its dumps and its answers are searched for them.</summary>
public sealed class KeySecrecyTests
{
    [Fact]
    public async Task KeyAndToken_OfARunningWorkload_AreInNoLogDumpOrAnswer()
    {
        var port = RunningMesh.FreePort();
        var logs = FakeLogCollector.Create(new FakeLogCollectorOptions());
        await using var mesh = await RunningMesh.StartAsync(("cart.yaml", RunningMesh.ServiceYaml("cart", 80, port)));
        var cart = await mesh.StartServiceAsync("cart", port, app => app.MapGet("/", () => "ok"), builder =>
        {
            builder.Services.AddHttpClient("cart");
            builder.Logging.ClearProviders().AddProvider(new FakeLoggerProvider(logs));
            builder.Services.Configure<LoggerFilterOptions>(o =>
            {
                o.Rules.Clear();
                o.MinLevel = LogLevel.Trace;
            });
        });
        await mesh.WaitUntilMeshedAsync("cart");
        var secrets = new List<string> { cart.Configuration["Mesh:Token"]! };
        var source = cart.Services.GetRequiredService<IWorkloadIdentitySource>();
        secrets.AddRange(Forms(source.Current!));
        using var client = cart.Services.GetRequiredService<IHttpClientFactory>().CreateClient("cart");
        Assert.Equal("ok", await client.GetStringAsync(new Uri("http://cart/"), TestContext.Current.CancellationToken));
        // A renewal, and one that fails: their logs count, too.
        using (var answer = await mesh.Api.PostAsync(new Uri("/api/v1/identity/rotate", UriKind.Relative), null, TestContext.Current.CancellationToken))
        {
            answer.EnsureSuccessStatusCode();
        }

        await Eventually.Async(() => source.Current!.Generation > 1, "renewed");
        secrets.AddRange(Forms(source.Current!));
        await mesh.ControlPlane.KillAsync();
        var failure = await Assert.ThrowsAsync<SvidException>(() => cart.Services.GetRequiredService<ISvidSource>().FetchAsync(source.Current, TestContext.Current.CancellationToken));
        await mesh.StartControlPlaneAsync();
        await mesh.WaitUntilMeshedAsync("cart");

        var said = new List<string>
        {
            string.Join('\n', logs.GetSnapshot().Select(r => $"{r.Message} {string.Join(' ', r.StructuredState?.Select(s => s.Value) ?? [])} {r.Exception}")),
            failure.ToString(),
            $"{source.Current} {source.Current!.Svid} {source.Current.Bundle} {source.Current.Svid.Leaf} {cart.Services.GetRequiredService<IOptions<MeshOptions>>().Value}",
            mesh.ControlPlane.Errors,
            mesh.ControlPlane.Output,
        };
        foreach (var path in new[] { "clients", "workloads", "checks", "config_dump", "identities", "status", "pairs" })
        {
            said.Add(await mesh.Api.GetStringAsync(new Uri($"/api/v1/{path}", UriKind.Relative), TestContext.Current.CancellationToken));
        }

        // The search finds what is there: the certificate's serial is in the log of issued ones.
        Assert.Contains(said, text => text.Contains(source.Current.Svid.Leaf.SerialNumber.TrimStart('0'), StringComparison.OrdinalIgnoreCase));
        // And everything is logged.
        Assert.Contains(logs.GetSnapshot(), r => r.Level <= LogLevel.Debug);
        Assert.All(secrets, secret => Assert.All(said, text => Assert.DoesNotContain(secret, text, StringComparison.OrdinalIgnoreCase)));
    }

    /// <summary>The key as anybody would write it.</summary>
    private static IEnumerable<string> Forms(WorkloadIdentity identity)
    {
        using var key = identity.Svid.Leaf.GetECDsaPrivateKey()!;
        var d = key.ExportParameters(includePrivateParameters: true).D!;
        var pkcs8 = Convert.ToBase64String(key.ExportPkcs8PrivateKey());
        // The head of PKCS #8 is the same for every key, its tail is the public one.
        return [Convert.ToHexString(d), Convert.ToHexString(d, 8, 16), Convert.ToBase64String(d)[..40], pkcs8[52..88], key.ExportECPrivateKeyPem().Split('\n')[1][16..48], string.Join('-', d[..8].Select(b => $"{b:X2}"))];
    }
}
