using System.Net;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Mesh.Identity;
using Mesh.Protos.Istio;
using Mesh.Protos.Otlp;
using Mesh.Spiffe;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Testing;

/// <summary>A working stand-in for the control plane's certificate and telemetry services over real TLS; it can answer wrongly.</summary>
internal sealed class FakeAuthority : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _exportCalls;

    private FakeAuthority(WebApplication app, TestCa ca)
    {
        _app = app;
        Ca = ca;
    }

    public TestCa Ca { get; }

    public Uri Address => new(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());

    /// <summary>How every call proved itself: <c>token …</c> or <c>mtls …</c>. Lock it to read while calls run.</summary>
    public List<string> Proofs { get; } = [];

    public List<ExportMetricsServiceRequest> Exports { get; } = [];

    /// <summary>When set, decides the answer to a request instead of signing it.</summary>
    public Func<IstioCertificateRequest, IstioCertificateResponse>? Answer { get; set; }

    public string Token { get; set; } = "good-token";

    public TimeSpan? Life { get; set; }

    /// <summary>Breaks off every handshake that shows a client certificate, as after a change of root.</summary>
    public bool RefuseCertificates { get; set; }

    /// <summary>The node id of each request that got as far as the service. Lock <see cref="Proofs"/> to read while calls run.</summary>
    public List<string> NodeIds { get; } = [];

    /// <summary>The header <c>clusterid</c> of each such request. Lock <see cref="Proofs"/> to read while calls run.</summary>
    public List<string?> ClusterIds { get; } = [];

    public bool RefuseExports { get; set; }

    /// <summary>How they are refused.</summary>
    public StatusCode ExportRefusal { get; set; } = StatusCode.Unavailable;

    /// <summary>Takes exports and never answers them.</summary>
    public bool HangExports { get; set; }

    /// <summary>Exports that came, answered or not.</summary>
    public int ExportCalls => Volatile.Read(ref _exportCalls);

    public static async Task<FakeAuthority> StartAsync(TestCa ca, string serverName = ControlPlaneDialer.ServerName, int port = 0)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        FakeAuthority? self = null;
        builder.Services.AddSingleton(_ => self!);
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, port, l =>
        {
            l.Protocols = HttpProtocols.Http2;
            l.UseHttps(https =>
            {
                https.ServerCertificate = ca.Server(serverName);
                https.ServerCertificateChain = ca.Issuer is { } issuer ? [issuer] : null;
                https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
                https.ClientCertificateValidation = (_, _, _) => !self!.RefuseCertificates;
            });
        }));
        var app = builder.Build();
        self = new FakeAuthority(app, ca);
        app.MapGrpcService<Certificates>();
        app.MapGrpcService<Metrics>();
        await app.StartAsync();
        return self;
    }

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    internal sealed class Certificates(FakeAuthority authority) : IstioCertificateService.IstioCertificateServiceBase
    {
        public override Task<IstioCertificateResponse> CreateCertificate(IstioCertificateRequest request, ServerCallContext context)
        {
            var header = context.RequestHeaders.GetValue("authorization");
            var certificate = context.GetHttpContext().Connection.ClientCertificate;
            lock (authority.Proofs)
            {
                authority.Proofs.Add(certificate is null ? $"token {header}" : $"mtls {Id(certificate)}");
                authority.ClusterIds.Add(context.RequestHeaders.GetValue("clusterid"));
                authority.NodeIds.Add(request.Metadata?.Fields.TryGetValue("NODE_ID", out var node) == true ? node.StringValue : string.Empty);
            }

            if (certificate is null && header != $"Bearer {authority.Token}")
            {
                throw new RpcException(new Status(StatusCode.Unauthenticated, "unknown join token."));
            }

            if (authority.Answer is { } answer)
            {
                return Task.FromResult(answer(request));
            }

            var response = new IstioCertificateResponse();
            response.CertChain.Add(authority.Ca.Sign(request.Csr, authority.Life).ExportCertificatePem());
            if (authority.Ca.Issuer is { } issuer)
            {
                response.CertChain.Add(issuer.ExportCertificatePem());
            }

            response.CertChain.Add(authority.Ca.RootPem);
            return Task.FromResult(response);
        }

        private static string Id(X509Certificate2 certificate) => SpiffeCertificate.TryReadId(certificate, out var id, out _) ? id.ToString() : "nobody";
    }

    internal sealed class Metrics(FakeAuthority authority) : MetricsService.MetricsServiceBase
    {
        public override async Task<ExportMetricsServiceResponse> Export(ExportMetricsServiceRequest request, ServerCallContext context)
        {
            Interlocked.Increment(ref authority._exportCalls);
            if (authority.HangExports)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, context.CancellationToken);
            }

            if (authority.RefuseExports)
            {
                throw new RpcException(new Status(authority.ExportRefusal, "not now"));
            }

            lock (authority.Exports)
            {
                authority.Exports.Add(request);
            }

            return new ExportMetricsServiceResponse();
        }
    }
}
