using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.Protos.Istio;

namespace Mesh.Benchmarks.Plane;

/// <summary>One workload certificate per namespace, issued by the control plane, and what connects with it.</summary>
internal sealed class PlaneIdentities(X509Certificate2Collection roots, SslStreamCertificateContext[] certificates)
{
    public const string Account = "client";

    public static async Task<PlaneIdentities> JoinAsync(PlaneProcess plane, IPlaneFeed feed, int namespaces)
    {
        var roots = new X509Certificate2Collection();
        roots.ImportFromPemFile(plane.TrustBundle);
        using var channel = Open(plane.Grpc, roots, null);
        var certificates = new SslStreamCertificateContext[namespaces];
        for (var i = 0; i < namespaces; i++)
        {
            var ns = PlaneTopology.Namespace(i);
            var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest(new X500DistinguishedName(string.Empty), key, HashAlgorithmName.SHA256);
            var names = new SubjectAlternativeNameBuilder();
            names.AddUri(new Uri($"spiffe://cluster.local/ns/{ns}/sa/{Account}"));
            request.CertificateExtensions.Add(names.Build());
            var issued = await new IstioCertificateService.IstioCertificateServiceClient(channel).CreateCertificateAsync(
                new IstioCertificateRequest { Csr = request.CreateSigningRequestPem() },
                new Metadata { { "authorization", $"Bearer {await feed.TokenAsync(plane, ns)}" } },
                DateTime.UtcNow.AddSeconds(30));
            X509Certificate2[] chain = [.. issued.CertChain.Select(pem => X509Certificate2.CreateFromPem(pem))];
            certificates[i] = SslStreamCertificateContext.Create(chain[0].CopyWithPrivateKey(key), [.. chain[1..^1]], offline: true);
        }

        return new PlaneIdentities(roots, certificates);
    }

    public GrpcChannel Connect(PlaneProcess plane, int client) => Open(plane.Grpc, roots, certificates[client % certificates.Length]);

    /// <summary>A connection of its own: none is shared.</summary>
    public static GrpcChannel Plaintext(PlaneProcess plane) =>
        GrpcChannel.ForAddress($"http://{plane.Ads}", new GrpcChannelOptions { HttpHandler = Handler(), DisposeHttpClient = true });

    private static GrpcChannel Open(string address, X509Certificate2Collection roots, SslStreamCertificateContext? certificate)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.AddRange(roots);
        var handler = Handler();
        handler.SslOptions = new SslClientAuthenticationOptions { TargetHost = ServingCertificate.Name, CertificateChainPolicy = policy, ClientCertificateContext = certificate };
        return GrpcChannel.ForAddress($"https://{address}", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
    }

    private static SocketsHttpHandler Handler() => new() { UseProxy = false, ActivityHeadersPropagator = null, PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan };
}
