using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Testing.Namespaces;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>
/// The mesh of all tests that break nothing: <c>web</c> and <c>store</c> call each other, <c>other</c> has a second identity and may not leave the mesh,
/// <c>net</c> has the mesh in its process, <c>out</c> is no part of it.
/// </summary>
public sealed class SharedPods : IAsyncLifetime
{
    /// <summary>What <c>store</c> listens on.</summary>
    public const int Http = 8000, WebSocket = 8001, H2c = 8002, Guarded = 8003, Tls = 8443, Smtp = 2500, Grpc = 50051, Redis = 6379, Postgres = 5432, Net = 8080;

    private PodMesh? _mesh;

    /// <summary>The mesh; skips the test where there can be none.</summary>
    internal PodMesh Mesh
    {
        get
        {
            Assert.SkipWhen(NetworkNamespace.SkipReason is not null, NetworkNamespace.SkipReason ?? "");
            return _mesh!;
        }
    }

    /// <summary>The addresses of a Service by family.</summary>
    public static string Address(string service, bool ipV6) => ipV6 ? $"[fd96::{Number(service)}]" : $"10.96.0.{Number(service)}";

    public static string Url(string service, int port, bool ipV6 = false) => $"http://{Address(service, ipV6)}:{port}";

    public async ValueTask InitializeAsync()
    {
        if (NetworkNamespace.SkipReason is not null)
        {
            return;
        }

        _mesh = await PodMesh.StartAsync(
            [new("web", "web"), new("store", "store"), new("other", "other", new Dictionary<string, string> { ["MESH_EGRESS"] = "deny" }), new("net", null), new("out", null)],
            Yaml);
        try
        {
            var (certificate, key) = Certificate(_mesh);
            var (file, arguments) = Programs.Ours("Mesh.Pods.App");
            var net = _mesh["net"].Namespace.Start(MeshPod.AppUser, file, arguments, new Dictionary<string, string>
            {
                ["ASPNETCORE_URLS"] = $"http://*:{Net}",
                ["Mesh__ControlPlane"] = _mesh.Grpc,
                ["Mesh__TrustBundle"] = _mesh.TrustBundle,
                ["Mesh__Token"] = await _mesh.CreateTokenAsync("net"),
                ["Mesh__Namespace"] = PodMesh.KubernetesNamespace,
                ["Mesh__ServiceAccount"] = "net",
                ["Mesh__TelemetryInterval"] = "00:00:01",
                ["DOTNET_EnableDiagnostics"] = "0",
            });
            await Task.WhenAll(
                net.OutputAsync("serving", PodMesh.StartLimit),
                _mesh.StartSidecarsAsync("web", "store", "other"),
                _mesh["web"].ServeAsync(Programs.Node, Programs.App("server.js"), "web", $"http={Http}"),
                _mesh["store"].ServeAsync(Programs.Node, Programs.App("server.js"), "store", $"h2c={H2c}", $"grpc={Grpc}"),
                _mesh["store"].ServeAsync(
                    Programs.Python, Programs.App("server.py"), "store", $"http={Http},{Guarded}", $"ws={WebSocket}", $"smtp={Smtp}", $"tls={Tls}:{certificate}:{key}"),
                _mesh["out"].ServeAsync(Programs.Python, Programs.App("server.py"), "out", $"http={Http}", $"smtp={Smtp}"));
            await _mesh.WaitUntilMeshedAsync("web", "store", "guarded", "net");
        }
        catch
        {
            await _mesh.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_mesh is not null)
        {
            await _mesh.DisposeAsync();
        }
    }

    private static int Number(string service) => service switch { "web" => 1, "store" => 2, "guarded" => 3, _ => 4 };

    private static string Yaml(PodMesh mesh) =>
        Manifests.Service("web", 1, "web", [("http", Http)], mesh["web"])
        + Manifests.Service(
            "store",
            2,
            "store",
            [("http", Http), ("ws", WebSocket), ("h2c", H2c), ("tls", Tls), ("smtp", Smtp), ("grpc", Grpc), ("redis", Redis), ("postgres", Postgres)],
            mesh["store"])
        + Manifests.Service("guarded", 3, "store", [("http", Guarded)], mesh["store"])
        + Manifests.Service("net", 4, "net", [("http", Net)], mesh["net"])
        + """
        apiVersion: policy.meshlib.io/v1alpha1
        kind: ServerPolicy
        metadata: { name: guarded, namespace: pods }
        spec:
          targetRefs: [{ group: "", kind: Service, name: guarded }]
          mtls: Strict
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: AuthorizationPolicy
        metadata: { name: guarded, namespace: pods }
        spec:
          targetRefs: [{ group: "", kind: Service, name: guarded }]
          rules:
          - name: web
            action: Allow
            from:
            - serviceAccounts: [web]

        """;

    /// <summary>The app's own certificate, of no concern to the mesh.</summary>
    private static (string Certificate, string Key) Certificate(PodMesh mesh)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=own.example", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("own.example");
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
        File.WriteAllText(mesh.Scratch("own.crt"), certificate.ExportCertificatePem());
        File.WriteAllText(mesh.Scratch("own.key"), key.ExportPkcs8PrivateKeyPem());
        return (mesh.Scratch("own.crt"), mesh.Scratch("own.key"));
    }
}

/// <summary>Tests that share one mesh, one after the other.</summary>
[CollectionDefinition(Name)]
public sealed class SharedPodsGroup : ICollectionFixture<SharedPods>
{
    public const string Name = "shared pods";
}
