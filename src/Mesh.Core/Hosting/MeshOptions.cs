namespace Mesh.Hosting;

/// <summary>What an operator sets at start: section <c>Mesh</c> of the configuration, environment <c>Mesh__*</c>.</summary>
/// <remarks>
/// With none of <see cref="ControlPlane"/>, <see cref="TrustBundle"/>, <see cref="Token"/>, <see cref="TokenFile"/>, <see cref="CertificateFile"/>, <see cref="KeyFile"/> and
/// <see cref="WorkloadApi"/> set, the mesh is off and everything behaves as without it. Certificates come from one source: a token, files, or a SPIFFE Workload API.
/// </remarks>
public sealed class MeshOptions
{
    /// <summary>The configuration section: <c>Mesh</c>.</summary>
    public const string SectionName = "Mesh";

    /// <summary>The control plane's TLS gRPC address, such as <c>https://127.0.0.1:15012</c>. Default: none.</summary>
    public string? ControlPlane { get; set; }

    /// <summary>The DNS name in the control plane's certificate. Default: <c>mesh-control-plane</c>; for istiod such as <c>istiod.istio-system.svc</c>.</summary>
    public string? ControlPlaneName { get; set; }

    /// <summary>Path of a PEM file with the roots that vouch for the control plane at start; with <see cref="CertificateFile"/>, for peers too. Default: none.</summary>
    public string? TrustBundle { get; set; }

    /// <summary>The bearer token that proves who this workload is. Default: none. Exclusive with <see cref="TokenFile"/>.</summary>
    public string? Token { get; set; }

    /// <summary>Path of a file with the token, read again at every use. Default: none.</summary>
    public string? TokenFile { get; set; }

    /// <summary>What istiod calls the cluster that this workload runs in, sent with certificate requests. Default: none, which a control plane of Mesh does not need.</summary>
    public string? ClusterId { get; set; }

    /// <summary>Path of a PEM file with this workload's certificate, leaf first, read again when it changes. Default: none. Goes with <see cref="KeyFile"/>.</summary>
    public string? CertificateFile { get; set; }

    /// <summary>Path of a PEM file with the private key of <see cref="CertificateFile"/>, not encrypted. Default: none.</summary>
    public string? KeyFile { get; set; }

    /// <summary>
    /// A SPIFFE Workload API to take certificates from, as <c>unix:///run/spire/agent.sock</c> or <c>tcp://127.0.0.1:8081</c>. Default: the configuration value
    /// <c>SPIFFE_ENDPOINT_SOCKET</c> (the environment's, in most hosts) where <see cref="ControlPlane"/> is set and no other source of certificates is; else none.
    /// </summary>
    public string? WorkloadApi { get; set; }

    /// <summary>The Kubernetes namespace. Default: <c>default</c>.</summary>
    public string Namespace { get; set; } = "default";

    /// <summary>The service account this workload runs as. Default: <c>default</c>.</summary>
    public string ServiceAccount { get; set; } = "default";

    /// <summary>The workload's name in metrics. Default: <see cref="ServiceAccount"/>.</summary>
    public string? Workload { get; set; }

    /// <summary>The region this workload runs in, as endpoints name theirs: <c>topology.kubernetes.io/region</c> on Kubernetes. Default: none.</summary>
    public string? Region { get; set; }

    /// <summary>The zone this workload runs in, as endpoints name theirs: <c>topology.kubernetes.io/zone</c> on Kubernetes. Services that prefer near endpoints go by it. Default: none.</summary>
    public string? Zone { get; set; }

    /// <summary>The trust domain of the mesh. Default: <c>cluster.local</c>.</summary>
    public string TrustDomain { get; set; } = "cluster.local";

    /// <summary>The suffix of service names. Default: <c>cluster.local</c>.</summary>
    public string ClusterDomain { get; set; } = "cluster.local";

    /// <summary>How configuration is asked for. Default: <see cref="AdsVariant.Delta"/>.</summary>
    public AdsVariant AdsVariant { get; set; } = AdsVariant.Delta;

    /// <summary>How often measurements go to the control plane, 1 s–5 min; every second while somebody looks at them there. Default: 5 s.</summary>
    public TimeSpan TelemetryInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Count calls, and send the counts to the control plane. Off, this workload shows on no graph but as others see it. Default: true.</summary>
    public bool Metrics { get; set; } = true;

    /// <summary>
    /// Where this process answers scrapes without a web server of its own: a port (<c>9464</c>, on all addresses) or an address with port (<c>127.0.0.1:9464</c>). Web apps use
    /// <c>MapMeshMetrics()</c> instead. Default: none.
    /// </summary>
    public string? MetricsListen { get; set; }

    /// <summary>Whether requests of this workload may be watched live (<c>mesh tap</c>, <c>mesh top</c>). Default: true.</summary>
    public bool Tap { get; set; } = true;

    /// <summary>By client name, what that client allows its calls at most: sections <c>Mesh:Clients:&lt;name&gt;</c>. Names of typed and gRPC clients are their types'. Default: none.</summary>
    public IDictionary<string, MeshClientOptions> Clients { get; } = new Dictionary<string, MeshClientOptions>(StringComparer.Ordinal);

    /// <summary>By called service, what every client allows at most: sections <c>Mesh:Services:&lt;service&gt;</c>, as <c>catalog</c> (own namespace) or <c>catalog.shop</c>. Default: none.</summary>
    public IDictionary<string, MeshCallOptions> Services { get; } = new Dictionary<string, MeshCallOptions>(StringComparer.OrdinalIgnoreCase);

    /// <summary>What <c>UseMesh()</c> reads.</summary>
    public MeshServerOptions Server { get; set; } = new();

    /// <summary>How keys of token issuers are fetched.</summary>
    public MeshJwksOptions Jwks { get; set; } = new();

    /// <summary>Which calls are traced.</summary>
    public MeshTracesOptions Traces { get; set; } = new();
}

/// <summary>The two forms of the aggregated discovery service (xDS v3).</summary>
public enum AdsVariant
{
    /// <summary>Only what changed is sent.</summary>
    Delta,

    /// <summary>Every answer holds all resources of its type.</summary>
    StateOfTheWorld,
}

/// <summary>Settings of the server side: section <c>Mesh:Server</c>.</summary>
public sealed class MeshServerOptions
{
    /// <summary>Paths answered before the workload has an identity, and in plaintext on strict ports. Default: <c>/healthz</c>, <c>/livez</c>, <c>/readyz</c>, <c>/health</c>, <c>/alive</c>.</summary>
    public IList<string> ProbePaths { get; } = ["/healthz", "/livez", "/readyz", "/health", "/alive"];

    /// <summary>Ports that the mesh leaves alone (admin ports). Default: none.</summary>
    public IList<int> ExcludedPorts { get; } = [];

    /// <summary>Who is let in at an address that the control plane knows nothing of. Probe paths are always answered. Default: <see cref="UnlistedAccess.Allow"/>.</summary>
    public UnlistedAccess UnlistedAccess { get; set; }

    /// <summary>Tell callers of the mesh why a request was denied, in the header <c>mesh-policy</c>. Callers outside of the mesh are told nothing. Default: false.</summary>
    public bool ExplainDenials { get; set; }

    /// <summary>Tell callers outside of the mesh, too, how loaded this workload is (ORCA): with each answer, and on a stream of its own. Default: false, which tells callers of the mesh alone.</summary>
    public bool ReportLoadToAll { get; set; }

    /// <summary>Requests in the app at once, over all ports but the excluded ones, 1 or more; probe paths are not counted. It narrows what the control plane says. Default: none.</summary>
    /// <remarks>A request counts until its handler ends: a stream as long as it lasts.</remarks>
    public int? MaxConcurrentRequests { get; set; }

    /// <summary>Requests that wait for a place at once, 0 or more; the next one is answered 503 or <c>RESOURCE_EXHAUSTED</c>. Default: what the control plane says, else none wait.</summary>
    public int? MaxQueuedRequests { get; set; }

    /// <summary>Longest wait for a place, up to ten minutes. Default: what the control plane says, else 1 s.</summary>
    public TimeSpan? QueueTimeout { get; set; }

    /// <summary>What becomes of requests that can be read in more than one way. Default: <see cref="MeshAmbiguousRequests.Refuse"/> where a policy decides who may do what, else <see cref="MeshAmbiguousRequests.Pass"/>.</summary>
    public MeshAmbiguousRequests? AmbiguousPaths { get; set; }

    /// <summary>Write a line about each request to standard error. Default: <see cref="MeshAccessLog.Off"/>.</summary>
    public MeshAccessLog AccessLog { get; set; }

    /// <summary>Networks (<c>10.0.0.0/8</c>) and addresses of proxies outside of the mesh whose forwarding headers (<c>x-forwarded-for</c> and the like) reach the app. Default: none.</summary>
    /// <remarks>Headers that say who somebody is, such as <c>x-forwarded-client-cert</c>, are taken from mesh peers alone.</remarks>
    public IList<string> TrustedProxies { get; } = [];
}

/// <summary>What becomes of a request whose path, host or method can be read in more than one way.</summary>
public enum MeshAmbiguousRequests
{
    /// <summary>It is answered 400.</summary>
    Refuse,

    /// <summary>Policies and the app see one reading of it; where there is no safe one it is answered 400.</summary>
    Normalize,

    /// <summary>It stays as it came.</summary>
    Pass,
}

/// <summary>How requests served are logged.</summary>
public enum MeshAccessLog
{
    /// <summary>Not at all: <c>off</c>.</summary>
    Off,

    /// <summary>One JSON object a line: <c>json</c>.</summary>
    Json,

    /// <summary>The combined format of the Apache HTTP server: <c>apache</c>.</summary>
    Apache,
}

/// <summary>How keys of token issuers are fetched: section <c>Mesh:Jwks</c>.</summary>
public sealed class MeshJwksOptions
{
    /// <summary>Fetch keys by plain http too, where a policy says so. Whoever can answer in the issuer's place then makes tokens. Default: false.</summary>
    public bool AllowHttp { get; set; }

    /// <summary>Networks (<c>10.0.0.0/8</c>) and addresses, beside public ones, where issuers may be. Metadata services of clouds stay closed. Default: none.</summary>
    public IList<string> AllowedNetworks { get; } = [];
}

/// <summary>Who is let in at an address that no listener of the control plane describes.</summary>
public enum UnlistedAccess
{
    /// <summary>Everybody, over mesh TLS and in plaintext: <c>allow</c>.</summary>
    Allow,

    /// <summary>Callers over mesh TLS: <c>allow-authenticated</c>.</summary>
    AllowAuthenticated,

    /// <summary>Nobody: <c>deny</c>.</summary>
    Deny,
}
