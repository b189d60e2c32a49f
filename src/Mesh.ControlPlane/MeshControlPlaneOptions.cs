using System.Net;

namespace Mesh.ControlPlane;

/// <summary>What an operator sets when a control plane starts.</summary>
public sealed class MeshControlPlaneOptions
{
    private const int MaxClusterNetworks = 64;
    private const int DefaultWebhookPort = 15017;

    /// <summary>Folder with Kubernetes manifests: Services, EndpointSlices, Pods, HTTPRoutes, GRPCRoutes, TLSRoutes, TCPRoutes, policies. Required without <see cref="Kubernetes"/>.</summary>
    public string ConfigFolder { get; set; } = string.Empty;

    /// <summary>The objects of a Kubernetes cluster are followed in place of a folder: of the one that this pod is in, unless another is named. There is no plaintext ADS then.</summary>
    public bool Kubernetes { get; set; }

    /// <summary>A kubeconfig file that names the cluster. Default with <see cref="KubeContext"/>: <c>KUBECONFIG</c>, else <c>~/.kube/config</c>.</summary>
    public string? Kubeconfig { get; set; }

    /// <summary>Which context of the kubeconfig. Default: its current one.</summary>
    public string? KubeContext { get; set; }

    /// <summary>URL of the cluster's API server, where neither this pod nor a kubeconfig says it.</summary>
    public string? ApiServer { get; set; }

    /// <summary>File with the token for <see cref="ApiServer"/>; read again as it changes. Default: none.</summary>
    public string? ApiTokenFile { get; set; }

    /// <summary>PEM file with the roots of <see cref="ApiServer"/>'s certificate. Default: the machine's.</summary>
    public string? ApiCa { get; set; }

    /// <summary>The namespace with what replicas in a cluster share: authority, marks, lease. Default: the pod's own, else <c>mesh-system</c>.</summary>
    public string? SystemNamespace { get; set; }

    /// <summary>What the replicas of a cluster call this one: the name of its Pod. Default: the host name, which is that.</summary>
    public string? ReplicaName { get; set; }

    /// <summary>The Secret in <see cref="SystemNamespace"/> with an issuer that was signed elsewhere, of type <c>kubernetes.io/tls</c> with <c>ca.crt</c>. Default: <c>mesh-issuer</c>, when that is there.</summary>
    public string? IssuerSecret { get; set; }

    /// <summary>Folder for the control plane's own files: root key, join tokens, marks; in a cluster only what was issued. Default: <c>mesh-data</c> in the current directory.</summary>
    public string DataFolder { get; set; } = "mesh-data";

    /// <summary>The trust domain of the mesh. Default: <c>cluster.local</c>.</summary>
    public string TrustDomain { get; set; } = "cluster.local";

    /// <summary>The suffix of service names. Default: <c>cluster.local</c>.</summary>
    public string ClusterDomain { get; set; } = "cluster.local";

    /// <summary>Address that the TLS and HTTP ports listen on. Default: loopback. Plaintext ADS always stays on loopback.</summary>
    public IPAddress Address { get; set; } = IPAddress.Loopback;

    /// <summary>Plaintext ADS port, loopback only; 0 is any free one. Default: 15010.</summary>
    public int AdsPort { get; set; } = 15010;

    /// <summary>TLS gRPC port: ADS, certificates, metrics; 0 is any free one. Default: 15012.</summary>
    public int GrpcPort { get; set; } = 15012;

    /// <summary>HTTP port: API, metrics, probes; 0 is any free one. Default: 15014.</summary>
    public int HttpPort { get; set; } = 15014;

    /// <summary>Host names under which the HTTP port answers, beside loopback names, IP literals and the Service's own. Default: none.</summary>
    public IReadOnlyList<string> HttpHosts { get; set; } = [];

    /// <summary>HTTPS port for the Kubernetes API server's webhooks; 0 is any free one. Default: 15017 in a cluster, else none.</summary>
    public int? WebhookPort { get; set; }

    /// <summary>PEM file of a given root certificate; with <see cref="RootKey"/>, or with <see cref="IssuerCertificate"/> as what workloads trust. Default: an own root in <see cref="DataFolder"/>.</summary>
    public string? RootCertificate { get; set; }

    /// <summary>PEM file of the given root's EC or RSA key; with <see cref="RootCertificate"/>.</summary>
    public string? RootKey { get; set; }

    /// <summary>PEM file of an issuer that was signed elsewhere, and all certificates between it and the root; with <see cref="IssuerKey"/> and <see cref="RootCertificate"/>. Read again when it changes.</summary>
    public string? IssuerCertificate { get; set; }

    /// <summary>PEM file of the given issuer's EC or RSA key.</summary>
    public string? IssuerKey { get; set; }

    /// <summary>Folder with an issuer that was signed elsewhere, as a Kubernetes TLS secret is mounted: <c>tls.crt</c>, <c>tls.key</c>, <c>ca.crt</c>. Read again when it changes.</summary>
    public string? Issuer { get; set; }

    /// <summary>Keys of the certificates that the own authority makes for itself. Default: P-256.</summary>
    public CaKeyKind CaKey { get; set; } = CaKeyKind.P256;

    /// <summary>An OIDC issuer whose JWTs show who a workload is; with <see cref="OidcAudience"/>.</summary>
    public string? OidcIssuer { get; set; }

    /// <summary>What these JWTs must be meant for.</summary>
    public string? OidcAudience { get; set; }

    /// <summary>URL or file of the OIDC issuer's keys (JWKS). Default: as its discovery document says.</summary>
    public string? OidcJwks { get; set; }

    /// <summary>Which claims make the identity, such as <c>ns/{team}/sa/{sub}</c>. Default: the subject is a Kubernetes service account.</summary>
    public string? OidcIdentity { get; set; }

    /// <summary>Address of the Kubernetes API server that reviews service account tokens; <c>in-cluster</c> for the one of this pod.</summary>
    public string? TokenReview { get; set; }

    /// <summary>What these tokens must be bound to. Default: <c>meshlib.io</c>.</summary>
    public string TokenReviewAudience { get; set; } = "meshlib.io";

    /// <summary>PEM file with the roots of the API server's certificate. Default: in a cluster the pod's own, else the machine's.</summary>
    public string? TokenReviewCa { get; set; }

    /// <summary>File with the control plane's own token for the API server. Default: in a cluster the pod's own, else none.</summary>
    public string? TokenReviewToken { get; set; }

    /// <summary>Life of workload certificates, 10 s–90 days. Default: 24 h.</summary>
    public TimeSpan LeafLife { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Whether ports take plaintext where no ServerPolicy says it. Default: permissive.</summary>
    public MtlsMode Mtls { get; set; }

    /// <summary>Who may call where neither a ServerPolicy nor an Allow rule says it. Default: everybody.</summary>
    public AccessMode Access { get; set; }

    /// <summary>The networks that access modes <c>cluster-…</c> mean. Default: private, shared, unique local and loopback addresses.</summary>
    public IReadOnlyList<IPNetwork> ClusterNetworks { get; set; } = Model.Policies.ServerDefaults.PrivateNetworks;

    /// <summary>An OpenTelemetry collector that all measurements and spans of the mesh are given on to, such as <c>http://collector:4317</c>. Default: none.</summary>
    public string? Otlp { get; set; }

    /// <summary>How it is spoken to. Default: by its address.</summary>
    public OtlpProtocol OtlpProtocol { get; set; }

    /// <summary>Headers sent to it, such as a key: <c>name=value</c>, more with commas, values URL-encoded as in <c>OTEL_EXPORTER_OTLP_HEADERS</c>. Default: none.</summary>
    public string? OtlpHeaders { get; set; }

    internal IReadOnlyList<KeyValuePair<string, string>>? ParsedOtlpHeaders => Telemetry.OtlpSettings.Headers(OtlpHeaders);

    /// <summary>Where measurements are kept. Default: on disk; in a cluster in memory.</summary>
    public TelemetryStorage? TelemetryStorage { get; set; }

    /// <summary>What measurements take at most, MB, 8–65536; older ones make room. Default: 256 on disk, 64 in memory.</summary>
    public int? TelemetryMaxMegabytes { get; set; }

    /// <summary>How many series are told apart at most, 100–1000000; what does not fit is counted, and what was silent longest makes room. Default: 20000.</summary>
    public int TelemetryMaxSeries { get; set; } = 20_000;

    /// <summary>URL of a Prometheus server (or one that answers like it) that scrapes the workloads: it is asked in place of the embedded store.</summary>
    public string? Prometheus { get; set; }

    /// <summary>File with the bearer token for <see cref="Prometheus"/>; read again as it changes. Default: none.</summary>
    public string? PrometheusTokenFile { get; set; }

    internal TelemetryStorage EffectiveStorage => TelemetryStorage ?? (Kubernetes ? Mesh.ControlPlane.TelemetryStorage.Memory : Mesh.ControlPlane.TelemetryStorage.Disk);

    internal Telemetry.GoldenLimits GoldenLimits => new(TelemetryMaxSeries, (long)(TelemetryMaxMegabytes ?? (EffectiveStorage == Mesh.ControlPlane.TelemetryStorage.Disk ? 256 : 64)) << 20);

    internal Model.Policies.ServerDefaults Defaults => new(Mtls, Access, [.. ClusterNetworks]);

    /// <summary>Every problem, with its fix.</summary>
    internal IReadOnlyList<string> Validate()
    {
        var problems = new List<string>();
        if (Kubernetes)
        {
            problems.AddRange(ClusterProblems());
        }
        else if (ConfigFolder.Length == 0)
        {
            problems.Add("No configuration folder is given. Set --config DIR (ConfigFolder) to the folder with the manifests, or --kubernetes (Kubernetes) for a cluster.");
        }
        else if (!Directory.Exists(ConfigFolder))
        {
            problems.Add($"The configuration folder '{Path.GetFullPath(ConfigFolder)}' does not exist. Make it, or set --config DIR (ConfigFolder) to the one with the manifests.");
        }

        if (WebhookPort is not null && !Kubernetes)
        {
            problems.Add("Webhooks (--webhook-port, WebhookPort) are for a cluster: leave the port out, or add --kubernetes (Kubernetes).");
        }

        if (!Mesh.Spiffe.TrustDomain.TryParse(TrustDomain, out _, out var problem))
        {
            problems.Add($"{problem} (--trust-domain)");
        }

        if (Uri.CheckHostName(ClusterDomain) != UriHostNameType.Dns)
        {
            problems.Add($"Cluster domain '{ClusterDomain}' is no DNS name. Set --cluster-domain to one such as 'cluster.local'.");
        }

        foreach (var host in HttpHosts.Where(h => Uri.CheckHostName(h) == UriHostNameType.Unknown))
        {
            problems.Add($"HTTP host '{host}' is no host name (--http-host). Give a name without scheme and port, such as mesh.example.com.");
        }

        foreach (var (flag, port) in Ports)
        {
            if (port is < 0 or > 65535)
            {
                problems.Add($"Port {port} ({flag}) is not 0–65535.");
            }
        }

        if (Ports.Where(p => p.Port != 0).GroupBy(p => p.Port).FirstOrDefault(g => g.Count() > 1) is { } same)
        {
            problems.Add($"Port {same.Key} is given more than once ({string.Join(", ", same.Select(p => p.Flag))}).");
        }

        problems.AddRange(TelemetryProblems());
        problems.AddRange(AuthorityProblems());
        problems.AddRange(CertificateAuthority.Attestation.AttestorFactory.Problems(this));

        if (LeafLife < CertificateAuthority.LeafPolicyStore.ShortestLife || LeafLife > CertificateAuthority.LeafPolicyStore.LongestLife)
        {
            problems.Add($"Leaf life {LeafLife} (--leaf-life) is not 10 s to 90 days.");
        }

        problems.AddRange(Telemetry.OtlpSettings.Problems(this));
        if (!Enum.IsDefined(Mtls))
        {
            problems.Add($"Mtls is {(int)Mtls}, which is none of its values. Use {string.Join(" or ", Enum.GetNames<MtlsMode>())} (--mtls).");
        }

        if (!Enum.IsDefined(Access))
        {
            problems.Add($"Access is {(int)Access}, which is none of its values. Use one of {string.Join(", ", Enum.GetNames<AccessMode>())} (--access).");
        }

        if (ClusterNetworks.Count is 0 or > MaxClusterNetworks)
        {
            problems.Add($"There are {ClusterNetworks.Count} cluster networks. Give 1–{MaxClusterNetworks} (--cluster-networks), or leave it out for private addresses.");
        }

        return problems;
    }

    private IEnumerable<string> ClusterProblems()
    {
        if (ConfigFolder.Length > 0)
        {
            yield return "--config (ConfigFolder) and --kubernetes (Kubernetes) exclude each other: keep the folder, or the cluster.";
        }

        if (ApiServer is not null && (Kubeconfig ?? KubeContext) is not null)
        {
            yield return "--api-server (ApiServer) and --kubeconfig, --context exclude each other: each names the cluster.";
        }

        if (ApiServer is not null && !(Uri.TryCreate(ApiServer, UriKind.Absolute, out var uri) && uri.Scheme is "https" or "http"))
        {
            yield return $"API server '{ApiServer}' (--api-server) is no URL. Use one such as https://10.96.0.1:443.";
        }

        if (ApiServer is null && (ApiTokenFile ?? ApiCa) is not null)
        {
            yield return "--api-token-file and --api-ca go with --api-server: in a pod and in a kubeconfig they are said there.";
        }

        foreach (var (flag, name) in new[] { ("--system-namespace", SystemNamespace), ("--replica-name", ReplicaName), ("--issuer-secret", IssuerSecret) })
        {
            if (name is not null && !Sources.Manifests.Names.IsSubdomain(name))
            {
                yield return $"{flag} is '{name}', which is no name in Kubernetes. {Sources.Manifests.Names.SubdomainRule}";
            }
        }

        if (IssuerSecret is not null && (RootCertificate ?? IssuerCertificate ?? Issuer) is not null)
        {
            yield return "--issuer-secret names all of the authority: leave out --issuer, --issuer-cert, --root-cert and --root-key.";
        }

        foreach (var (flag, file) in new[] { ("--api-token-file", ApiTokenFile), ("--api-ca", ApiCa), ("--kubeconfig", Kubeconfig) })
        {
            if (file is not null && !File.Exists(file))
            {
                yield return $"File '{file}' ({flag}) does not exist.";
            }
        }
    }

    private IEnumerable<string> TelemetryProblems()
    {
        if (TelemetryStorage is { } storage && !Enum.IsDefined(storage))
        {
            yield return $"TelemetryStorage is {(int)storage}, which is none of its values. Use disk or memory (--telemetry-storage).";
        }

        if (TelemetryMaxMegabytes is < 8 or > 65_536)
        {
            yield return $"Measurements may take {TelemetryMaxMegabytes} MB. Give 8–65536 (--telemetry-max-mb).";
        }

        if (TelemetryMaxSeries is < 100 or > 1_000_000)
        {
            yield return $"At most {TelemetryMaxSeries} series are told apart. Give 100–1000000 (--telemetry-max-series).";
        }

        if (Prometheus is not null && !(Uri.TryCreate(Prometheus, UriKind.Absolute, out var uri) && uri.Scheme is "https" or "http"))
        {
            yield return $"Prometheus '{Prometheus}' (--prometheus) is no URL. Use one such as http://prometheus.monitoring:9090.";
        }

        if (PrometheusTokenFile is { } file && (Prometheus is null || !File.Exists(file)))
        {
            yield return Prometheus is null ? "--prometheus-token-file goes with --prometheus." : $"File '{file}' (--prometheus-token-file) does not exist.";
        }
    }

    private IEnumerable<string> AuthorityProblems()
    {
        if (Issuer is not null)
        {
            if ((RootCertificate ?? RootKey ?? IssuerCertificate ?? IssuerKey) is not null)
            {
                yield return "--issuer DIR holds all of the authority: leave out --root-cert, --root-key, --issuer-cert and --issuer-key.";
            }

            yield break;
        }

        if (IssuerCertificate is not null || IssuerKey is not null)
        {
            if (IssuerCertificate is null || IssuerKey is null || RootCertificate is null)
            {
                yield return "--issuer-cert, --issuer-key and --root-cert go together: the issuer, its key, and the root that workloads trust.";
            }

            if (RootKey is not null)
            {
                yield return "--root-key is not needed with --issuer-cert: leave it out, and keep it away from here.";
            }

            yield break;
        }

        if ((RootCertificate is null) != (RootKey is null))
        {
            yield return "--root-cert and --root-key go together: give both, or neither for an own root.";
        }
    }

    /// <summary>Off on Kubernetes: everybody there has a token.</summary>
    internal bool HasPlaintextAds => !Kubernetes;

    /// <summary>Any free one where the others are.</summary>
    internal int? Webhooks => WebhookPort ?? (!Kubernetes ? null : GrpcPort == 0 ? 0 : DefaultWebhookPort);

    internal IEnumerable<(string Flag, int Port)> Ports => [("--ads-port", AdsPort), ("--grpc-port", GrpcPort), ("--http-port", HttpPort), .. Webhooks is { } port ? new (string, int)[] { ("--webhook-port", port) } : []];
}
