using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.EndToEnd.Tests.WrongInput;

/// <summary>Peers that are not who they must be: refused before a byte of a request, told once, and nobody else notices.</summary>
public sealed class WrongCertificateTests(SharedMesh shared) : IClassFixture<SharedMesh>
{
    [Fact]
    public async Task Caller_OfAnotherAuthority_IsRefusedNamingTheBundle()
    {
        using var other = new TestCa("cluster.local");
        using var certificate = other.Identity("shop", "front").Svid.Leaf;

        var message = await RefusedAsync(certificate);

        Assert.Contains("does not chain to the trust bundle of 'cluster.local'", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Caller_WithoutCertificate_IsRefusedSayingSo() =>
        Assert.Contains("The peer sent no certificate.", await RefusedAsync(null), StringComparison.Ordinal);

    [Fact]
    public async Task Endpoint_TakenOverByAnotherIdentity_IsRefusedNamingBothAndGetsNoRequest()
    {
        var port = RunningMesh.FreePort();
        File.WriteAllText(Path.Combine(shared.Mesh.Manifests, "stolen.yaml"), RunningMesh.ServiceYaml("stolen", 80, port));
        var rightful = await shared.Mesh.StartServiceAsync("stolen", port, app => app.MapGet("/", () => "rightful"));
        await shared.Mesh.WaitUntilMeshedAsync("stolen");
        Assert.Equal("rightful", await shared.Front.GetStringAsync(new Uri("http://stolen/"), TestContext.Current.CancellationToken));
        await rightful.StopAsync(TestContext.Current.CancellationToken);
        var requests = 0;
        await shared.Mesh.StartServiceAsync("thief", port, app => app.Run(_ =>
        {
            Interlocked.Increment(ref requests);
            return Task.CompletedTask;
        }));

        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => shared.Front.GetAsync(new Uri("http://stolen/"), TestContext.Current.CancellationToken));

        var said = failure.ToString();
        Assert.Contains($"127.0.0.1:{port}", said, StringComparison.Ordinal);
        Assert.Contains("The peer is 'spiffe://cluster.local/ns/shop/sa/thief', expected 'spiffe://cluster.local/ns/shop/sa/stolen'.", said, StringComparison.Ordinal);
        Assert.Equal(0, requests);
        Assert.Equal("ok", await shared.Front.GetStringAsync(new Uri("http://catalog/"), TestContext.Current.CancellationToken));
    }

    private async Task<string> RefusedAsync(X509Certificate2? certificate)
    {
        await using var calls = new SteadyCalls(shared.Front, "http://catalog/", "ok");
        await calls.FlowAsync(20);
        shared.Mesh.Logs.Clear();
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, shared.CatalogPort);
        await using var tls = new SslStream(new NetworkStream(socket));
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = "catalog",
            ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, null, offline: true),
            ApplicationProtocols = [new SslApplicationProtocol("meshlib.io/1"), SslApplicationProtocol.Http2],
#pragma warning disable CA5359 // It is the server that must refuse here.
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
#pragma warning restore CA5359
        };

        // TLS 1.3: the client believes itself done before the server has looked at its certificate; then nothing comes but the end.
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await tls.AuthenticateAsClientAsync(options, TestContext.Current.CancellationToken);
            if (await tls.ReadAsync(new byte[1], TestContext.Current.CancellationToken) == 0)
            {
                throw new IOException("closed");
            }
        });
        await Eventually.Async(() => Serious().Length > 0, "the refusal is logged");
        await calls.FlowAsync(20);
        Assert.Empty(await calls.EndAsync());
        return Assert.Single(Serious()).Message;
    }

    private FakeLogRecord[] Serious() => [.. shared.Mesh.Logs.GetSnapshot().Where(r => r.Level >= LogLevel.Warning)];
}
