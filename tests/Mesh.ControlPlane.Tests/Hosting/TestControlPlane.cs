using System.Collections.Concurrent;
using System.Formats.Asn1;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Translation;
using Mesh.Protos.Istio;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Hosting;

/// <summary>A real control plane on free ports; what it serves is set by hand.</summary>
internal sealed class TestControlPlane : IAsyncDisposable
{
    private readonly bool _ownsFolder;
    private readonly MeshControlPlaneHost _host;
    private bool _ended;

    private TestControlPlane(string? folder, Action<MeshControlPlaneOptions>? configure, bool fromFiles, InjectorParts? injector)
    {
        _ownsFolder = folder is null;
        Folder = folder ?? Directory.CreateTempSubdirectory("mesh-cp-").FullName;
        Directory.CreateDirectory(Path.Combine(Folder, "config"));
        var options = new MeshControlPlaneOptions { ConfigFolder = Path.Combine(Folder, "config"), DataFolder = Data, AdsPort = 0, GrpcPort = 0, HttpPort = 0 };
        configure?.Invoke(options);
        Source = new FakeSource();
        var parts = fromFiles ? ControlPlaneParts.Default : new ControlPlaneParts(Source.Take, _ => Translator, (type, bytes) => Decode(type, bytes));
        _host = new MeshControlPlaneHost(options, parts with { Injector = injector }, TimeProvider.System, LoggerFactory.Create(l => l.SetMinimumLevel(LogLevel.Debug).AddProvider(new FakeLoggerProvider(Logs))));
    }

    public string Folder { get; }

    public string Data => Path.Combine(Folder, "data");

    public FakeLogCollector Logs { get; } = FakeLogCollector.Create(new FakeLogCollectorOptions());

    public FakeSource Source { get; }

    public FakeTranslator Translator { get; } = new();

    /// <summary>Takes everything unless a test says otherwise.</summary>
    public Func<string, ByteString, DecodeResult> Decode { get; set; } = (type, bytes) => new DecodeResult(FakeTranslator.NameOf(type, bytes), new object(), []);

    public ControlPlaneAddresses Addresses { get; private set; } = null!;

    public IServiceProvider Services => _host.Services!;

    /// <summary>Host and port of the API server's webhooks.</summary>
    public string Webhooks => _host.Webhooks!;

    /// <param name="injector">Makes it answer webhooks.</param>
    /// <param name="fromFiles">It serves the manifests of its folder, and nothing set by hand.</param>
    public static async Task<TestControlPlane> StartAsync(string? folder = null, Action<MeshControlPlaneOptions>? configure = null, bool fromFiles = false, InjectorParts? injector = null)
    {
        var controlPlane = new TestControlPlane(folder, configure, fromFiles, injector);
        controlPlane.Addresses = await controlPlane._host.StartAsync(TestContext.Current.CancellationToken);
        return controlPlane;
    }

    public GrpcChannel PlaintextChannel() => GrpcChannel.ForAddress($"http://{Addresses.Ads}");

    /// <summary>TLS as a workload does it: the trust bundle's roots, the fixed name, a certificate or none.</summary>
    public GrpcChannel TlsChannel(X509Certificate2? certificate = null)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(Addresses.TrustBundle);
        var handler = new SocketsHttpHandler { UseProxy = false };
        handler.SslOptions = new SslClientAuthenticationOptions
        {
            TargetHost = ServingCertificate.Name,
            CertificateChainPolicy = policy,
            ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, [], offline: true),
        };
        return GrpcChannel.ForAddress($"https://{Addresses.Grpc}", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
    }

    public string Token(string ns, string account) => Services.GetRequiredService<JoinTokens>().Create(ns, account).Token;

    /// <summary>Joins with a fresh token.</summary>
    public async Task<X509Certificate2> JoinAsync(string ns, string account)
    {
        using var channel = TlsChannel();
        return await Csr.CreateAsync(channel, Csr.For($"spiffe://cluster.local/ns/{ns}/sa/{account}"), Token(ns, account));
    }

    public HttpClient Api(string? token = null)
    {
        var client = new HttpClient { BaseAddress = new Uri(Addresses.Http) };
        client.DefaultRequestHeaders.Add("Authorization", $"Bearer {token ?? Addresses.Token}");
        return client;
    }

    /// <summary>Ends it; its folder stays.</summary>
    public async Task EndAsync()
    {
        if (!_ended)
        {
            _ended = true;
            await _host.StopAsync();
            await _host.DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        if (_ownsFolder)
        {
            Directory.Delete(Folder, recursive: true);
        }
    }
}

/// <summary>Publishes what a test gives it.</summary>
internal sealed class FakeSource : IModelSource
{
    private ModelSourceContext? _context;
    private int _refreshes;

    public int Refreshes => Volatile.Read(ref _refreshes);

    public IMeshMarks Marks => _context!.Marks;

    public IModelSource Take(ModelSourceContext context)
    {
        _context = context;
        return this;
    }

    public void Publish(MeshModel? model = null) => _context!.Store.Publish(model ?? new MeshModel());

    public Task StartAsync(CancellationToken cancellationToken)
    {
        Publish();
        return Task.CompletedTask;
    }

    public void Refresh()
    {
        Interlocked.Increment(ref _refreshes);
        Publish();
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

/// <summary>Answers by type and name with what a test put there.</summary>
internal sealed class FakeTranslator : IResourceTranslator
{
    private readonly ConcurrentDictionary<(string, string), IMessage> _resources = new();
    private int _calls;

    public int Calls => Volatile.Read(ref _calls);

    /// <summary>By name; null where it is not known.</summary>
    public Func<string, AnswerBasis?> Basis { get; set; } = _ => null;

    public AnswerBasis? BasisOf(NodeContext node, string typeUrl, string name) => Basis(name);

    public void Set(string type, string name, string content) => _resources[(type, name)] = Make(type, name, content);

    public void Remove(string type, string name) => _resources.TryRemove((type, name), out _);

    public TranslatedResource Translate(MeshModel model, NodeContext node, string typeUrl, string name)
    {
        Interlocked.Increment(ref _calls);
        return _resources.TryGetValue((typeUrl, name), out var message) ? new(message, null) : new(null, "not there");
    }

    public static string NameOf(string type, ByteString bytes) => type switch
    {
        XdsTypes.Listener => Mesh.Protos.Envoy.Listener.Listener.Parser.ParseFrom(bytes).Name,
        XdsTypes.RouteConfiguration => Mesh.Protos.Envoy.Route.RouteConfiguration.Parser.ParseFrom(bytes).Name,
        XdsTypes.Cluster => Mesh.Protos.Envoy.Cluster.Cluster.Parser.ParseFrom(bytes).Name,
        _ => Mesh.Protos.Envoy.Endpoint.ClusterLoadAssignment.Parser.ParseFrom(bytes).ClusterName,
    };

    private static IMessage Make(string type, string name, string content) => type switch
    {
        XdsTypes.Listener => new Mesh.Protos.Envoy.Listener.Listener { Name = name, FilterChains = { new Mesh.Protos.Envoy.Listener.FilterChain { Name = content } } },
        XdsTypes.RouteConfiguration => new Mesh.Protos.Envoy.Route.RouteConfiguration { Name = name, VirtualHosts = { new Mesh.Protos.Envoy.Route.VirtualHost { Name = content } } },
        XdsTypes.Cluster => new Mesh.Protos.Envoy.Cluster.Cluster { Name = name, EdsClusterConfig = new() { ServiceName = content } },
        _ => new Mesh.Protos.Envoy.Endpoint.ClusterLoadAssignment { ClusterName = name, Endpoints = { new Mesh.Protos.Envoy.Endpoint.LocalityLbEndpoints { Priority = (uint)content.Length } } },
    };
}

/// <summary>Signing requests, right and wrong ones.</summary>
internal static class Csr
{
    public static (string Pem, ECDsa Key) For(string uri, Action<SubjectAlternativeNameBuilder>? more = null, ECCurve? curve = null)
    {
        var key = ECDsa.Create(curve ?? ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(new X500DistinguishedName(string.Empty), key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri(uri));
        more?.Invoke(names);
        request.CertificateExtensions.Add(names.Build());
        return (request.CreateSigningRequestPem(), key);
    }

    /// <summary>Names as no builder would make them.</summary>
    public static string Raw(params (int Tag, string Value)[] names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(new X500DistinguishedName(string.Empty), key, HashAlgorithmName.SHA256);
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            foreach (var (tag, value) in names)
            {
                writer.WriteCharacterString(UniversalTagNumber.IA5String, value, new Asn1Tag(TagClass.ContextSpecific, tag));
            }
        }

        request.CertificateExtensions.Add(new X509Extension("2.5.29.17", writer.Encode(), critical: true));
        return request.CreateSigningRequestPem();
    }

    public static async Task<IstioCertificateResponse> SendAsync(GrpcChannel channel, string pem, string? token, long seconds = 0)
    {
        var headers = new Metadata();
        if (token is not null)
        {
            headers.Add("authorization", $"Bearer {token}");
        }

        return await new IstioCertificateService.IstioCertificateServiceClient(channel).CreateCertificateAsync(
            new IstioCertificateRequest { Csr = pem, ValidityDuration = seconds }, headers, DateTime.UtcNow.AddSeconds(20), TestContext.Current.CancellationToken);
    }

    public static async Task<X509Certificate2> CreateAsync(GrpcChannel channel, (string Pem, ECDsa Key) csr, string? token)
    {
        var response = await SendAsync(channel, csr.Pem, token);
        return X509Certificate2.CreateFromPem(response.CertChain[0]).CopyWithPrivateKey(csr.Key);
    }
}
