using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.ControlPlane;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Telemetry;
using Mesh.EndToEnd.Tests;
using Mesh.Protos.Istio;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Dashboard.Tests;

/// <summary>A whole control plane on a clock that a test turns, and ten workloads that report 500 series each to it: over mutual TLS, in OTLP, as workloads do.</summary>
internal sealed class BusyMesh : IAsyncDisposable
{
    public const int Workloads = 10;

    /// <summary>How often a workload reports.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-busy-").FullName;
    private readonly FakeTimeProvider _time;
    private readonly MeshControlPlaneOptions _options;
    private readonly List<BusyWorkload> _workloads = [];
    private MeshControlPlaneHost _host;
    private ControlPlaneAddresses? _addresses;
    private bool _ended;

    private BusyMesh(DateTimeOffset start)
    {
        _time = new FakeTimeProvider(start);
        var manifests = Directory.CreateDirectory(Path.Combine(_folder, "manifests")).FullName;
        foreach (var name in BusyWorkload.Names)
        {
            File.WriteAllText(Path.Combine(manifests, name + ".yaml"), RunningMesh.ServiceYaml(name, 80, [.. BusyWorkload.PortsOf(name)]));
        }

        _options = new MeshControlPlaneOptions { ConfigFolder = manifests, DataFolder = Path.Combine(_folder, "data"), AdsPort = 0, GrpcPort = 0, HttpPort = 0 };
        _host = Host();
    }

    public DateTimeOffset Now => _time.GetUtcNow();

    /// <summary>Calls that workloads told of, and that were acknowledged.</summary>
    public long Calls => _workloads.Sum(workload => workload.Calls);

    public string SignedIn => $"{_addresses!.Http}/#token={_addresses.ViewToken}";

    /// <param name="start">What its clock says first.</param>
    public static async Task<BusyMesh> StartAsync(DateTimeOffset start)
    {
        Assert.SkipWhen(Chromium.Missing is not null, Chromium.Missing ?? string.Empty);
        var mesh = new BusyMesh(start);
        try
        {
            mesh._addresses = await mesh._host.StartAsync(TestContext.Current.CancellationToken);
            foreach (var name in BusyWorkload.Names)
            {
                mesh._workloads.Add(new BusyWorkload(name, mesh.Channel(await mesh.JoinAsync(name))));
            }

            return mesh;
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }
    }

    /// <summary>Half a minute passes, and everybody tells what it counted in it.</summary>
    public async Task PassAsync()
    {
        _time.Advance(Interval);
        var now = Now;
        await Task.WhenAll(_workloads.Select(workload => workload.ReportAsync(now)));
    }

    /// <summary>Ends the control plane as a kill would: its file is as it was at that moment, and what was told since its last write is gone.</summary>
    /// <returns>How many calls were told, and acknowledged, between the last write and the end.</returns>
    public async Task<long> KillAsync()
    {
        var data = _options.DataFolder;
        // The last write before the end, as it comes every ten seconds.
        _host.Services!.GetRequiredService<GoldenStore>().Flush();
        var written = Calls;
        await Task.WhenAll(_workloads.Select(workload => workload.ReportAsync(Now)));

        var left = Path.Combine(_folder, "left");
        Directory.CreateDirectory(left);
        foreach (var file in Directory.EnumerateFiles(data, "*", SearchOption.AllDirectories).Where(f => !f.EndsWith("lock", StringComparison.Ordinal)))
        {
            var copy = Path.Combine(left, Path.GetRelativePath(data, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        await EndAsync();
        Directory.Delete(data, recursive: true);
        Directory.Move(left, data);
        return Calls - written;
    }

    /// <summary>It is back, at the same ports and on the same file.</summary>
    public async Task ComeBackAsync()
    {
        (_options.GrpcPort, _options.HttpPort) = (PortOf(_addresses!.Grpc), PortOf(new Uri(_addresses.Http).Authority));
        (_host, _ended) = (Host(), false);
        _addresses = await _host.StartAsync(TestContext.Current.CancellationToken);

        static int PortOf(string address) => int.Parse(address[(address.LastIndexOf(':') + 1)..], CultureInfo.InvariantCulture);
    }

    /// <summary>What it says of the whole time.</summary>
    public async Task<JsonElement> AskAsync(string path)
    {
        using var http = new HttpClient { BaseAddress = new Uri(_addresses!.Http) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", _addresses.ViewToken);
        return JsonElement.Parse(await http.GetStringAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var workload in _workloads)
        {
            workload.Dispose();
        }

        await EndAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private MeshControlPlaneHost Host() => new(_options, ControlPlaneParts.Default, _time, NullLoggerFactory.Instance);

    private async Task EndAsync()
    {
        if (!_ended)
        {
            _ended = true;
            // Its time-outs are of the clock that nobody turns meanwhile: there are no streams of data planes to wait for.
            await _host.StopAsync();
            await _host.DisposeAsync();
        }
    }

    private GrpcChannel Channel(X509Certificate2? certificate)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(_addresses!.TrustBundle);
        var handler = new SocketsHttpHandler { UseProxy = false };
        handler.SslOptions = new SslClientAuthenticationOptions
        {
            TargetHost = ServingCertificate.Name,
            CertificateChainPolicy = policy,
            ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, [], offline: true),
        };
        return GrpcChannel.ForAddress($"https://{_addresses.Grpc}", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
    }

    private async Task<X509Certificate2> JoinAsync(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(new X500DistinguishedName(string.Empty), key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri($"spiffe://cluster.local/ns/shop/sa/{name}"));
        request.CertificateExtensions.Add(names.Build());
        var headers = new Metadata { { "authorization", $"Bearer {_host.Services!.GetRequiredService<JoinTokens>().Create("shop", name).Token}" } };
        using var channel = Channel(null);
        var answer = await new IstioCertificateService.IstioCertificateServiceClient(channel).CreateCertificateAsync(
            new IstioCertificateRequest { Csr = request.CreateSigningRequestPem() }, headers, cancellationToken: TestContext.Current.CancellationToken);
        return X509Certificate2.CreateFromPem(answer.CertChain[0]).CopyWithPrivateKey(key);
    }
}
