using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.CertificateAuthority.Attestation;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Xds;
using Org.BouncyCastle.Security;

namespace Mesh.ControlPlane.Cluster;

/// <summary>All that a control plane has more of in a cluster: what replicas share, who leads, and what the leader keeps. Started in parts, in the order of the methods.</summary>
internal sealed class ClusterParts : IAsyncDisposable
{
    private readonly ClusterSettings _settings;
    private readonly MeshControlPlaneOptions _options;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly Spiffe.TrustDomain _trustDomain;
    private readonly ApiCounts _counts = new();
    private readonly List<WatchedObjects> _watched = [];
    private readonly List<BackgroundService> _loops = [];
    private PodMarks? _marks;
    private WatchedObjects? _markMaps;
    private bool _begun;
    private bool _ended;

    private ClusterParts(ClusterSettings settings, MeshControlPlaneOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        (_settings, _options, _time, _loggers, _trustDomain) = (settings, options, time, loggers, Spiffe.TrustDomain.Parse(options.TrustDomain));
        settings.Api.Answered = _counts.Add;
        // No earlier process of this pod leads in our name.
        Lease = new LeaderLease(
            settings.Api, new LeaderLeaseOptions(settings.Namespace, ClusterNames.Lease, $"{settings.Pod}_{Guid.NewGuid():N}"), time, NewRandom(), loggers.CreateLogger<LeaderLease>());
        Replicas = new Replicas(
            settings.Api, settings.Namespace, settings.Pod,
            Watch($"{ClusterNames.ConfigMaps(settings.Namespace)}?labelSelector={Uri.EscapeDataString(ClusterNames.ReplicaLabel)}"), Lease, time, loggers.CreateLogger<Replicas>());
        Faults = new ClusterFaults(settings.Api, Watch(ClusterFaults.WatchPath), time);
    }

    public ClusterFaults Faults { get; }

    public LeaderLease Lease { get; }

    public Replicas Replicas { get; }

    public SharedAuthority Authority { get; private set; } = null!;

    /// <summary>The operator's issuer; whether there is one is seen when it is asked.</summary>
    public IssuerFiles? Given { get; private set; }

    public AdminToken AdminToken { get; private set; } = null!;

    public ITokenReviews TokenReviews => new KubeTokenReviews(_settings.Api);

    public ClusterSettings Settings => _settings;

    /// <summary>First: the authority and what else replicas share. Waits for the API server.</summary>
    /// <exception cref="InvalidDataException">Something that is shared can't be used.</exception>
    public static async Task<ClusterParts> StartAsync(ClusterSettings settings, MeshControlPlaneOptions options, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var parts = new ClusterParts(settings, options, time, loggers);
        try
        {
            await parts.FindAuthorityAsync(cancellationToken);
            return parts;
        }
        catch
        {
            await parts.DisposeAsync();
            throw;
        }
    }

    /// <summary>Second: the marks, which the source asks for. Whoever asked disposes them, before these parts.</summary>
    public IMeshMarkStore Marks(ModelStore store) =>
        _marks = new PodMarks(_settings.Api, _settings.Namespace, store, _markMaps!, _time, NewRandom(), _loggers.CreateLogger<PodMarks>());

    /// <summary>Third: what the inner host's parts find.</summary>
    public void AddTo(IServiceCollection services, ModelStore store)
    {
        services.AddSingleton(Lease);
        services.AddSingleton(Replicas);
        services.AddSingleton<IReplicas>(Replicas);
        services.AddSingleton<ReplicaView>(new ClusterReplicaView(_settings.Pod, Lease, Replicas, _time));
        services.AddSingleton<IReplicaPeers>(p => new ReplicaPeers(_settings.Pod, Replicas, p.GetRequiredService<TrustBundleStore>(), AdminToken, _time));
        services.AddSingleton(Authority);
        services.AddSingleton<IAuthorityChanges>(Authority);
        services.AddSingleton<IApiAccess>(new RoleAccess(_settings.Api, _time, _loggers.CreateLogger<RoleAccess>()));
        services.AddSingleton(p => new WebhookCertificate(p.GetRequiredService<Issuer>(), _settings.Namespace, _options.ClusterDomain, _time));
        services.AddSingleton(p => new ReadyCheck("webhook-certificate", () => WebhookProblem(p.GetRequiredService<WebhookCertificate>())));
        var writer = Add(new StatusWriter(_settings.Api, store, ObjectStatuses.StatusOf, Lease, _time, NewRandom(), _loggers.CreateLogger<StatusWriter>()));
        services.AddSingleton<IMoreMetrics>(new ClusterMetrics(Lease, Replicas, _marks!, writer, Authority, _counts));
    }

    /// <summary>Fourth, when the first model is there and before anybody is served: tells the other replicas of this one, and begins to run for the lead.</summary>
    public async Task BeginAsync(IServiceProvider services, CancellationToken cancellationToken)
    {
        var live = Authority.Live;
        var keeper = services.GetRequiredService<AuthorityKeeper>();
        var issued = services.GetRequiredService<IssuanceLog>();
        var clients = services.GetRequiredService<ClientRegistry>();
        await Replicas.BeginAsync(
            () => new ReplicaFacts(live.Authority.State, live.Trust.Current, live.LeafPolicy.LeafLife, keeper.OwnWaits, issued.Live, clients.Holders), cancellationToken);
        clients.SubscribeHolders(() => WakeWhileChanging(live.Authority));
        live.Trust.Subscribe(Replicas.Wake);

        var (api, ns, store) = (_settings.Api, _settings.Namespace, services.GetRequiredService<ModelStore>());
        var bundles = Add(new TrustBundleWriter(
            api, Watch("/api/v1/namespaces"), Watch(ClusterNames.One("/api/v1/configmaps", ClusterNames.TrustBundle)), live.Trust, Lease, _time, NewRandom(), _loggers.CreateLogger<TrustBundleWriter>()));
        var webhooks = Add(new WebhookCaWriter(
            api, Watch(WebhookCaWriter.MutatingList), Watch(WebhookCaWriter.ValidatingList), live.Trust, Lease, _time, NewRandom(), _loggers.CreateLogger<WebhookCaWriter>()));
        Replicas.Expect(trust => bundles.Undone(trust).Concat(webhooks.Undone(trust)));
        Add(new GoneReplicas(api, ns, Replicas, Lease, _time, NewRandom(), _loggers.CreateLogger<GoneReplicas>()));
        Add(new ListedMarkSweeper(api, ns, _markMaps!, store, _trustDomain, Lease, _time, NewRandom(), _loggers.CreateLogger<ListedMarkSweeper>()));
        Add(new FaultSweeper(Faults, Lease, _time, NewRandom(), _loggers.CreateLogger<FaultSweeper>()));
        _begun = true;
        await Replicas.StartAsync(cancellationToken);
        await Lease.StartAsync(cancellationToken);
        foreach (var loop in _loops)
        {
            await loop.StartAsync(cancellationToken);
        }
    }

    /// <summary>Fifth, when the ports are bound: where the other replicas reach this one.</summary>
    /// <param name="bound">What the gRPC port listens on.</param>
    public void ServesAt(System.Net.IPEndPoint bound) => Replicas.ServesAt(OwnAddress.Of(bound, _settings.Api.Server).ToString());

    /// <summary>When it stops, first: another may lead at once.</summary>
    public async Task StepDownAsync()
    {
        if (_begun)
        {
            await Lease.StepDownAsync();
        }
    }

    /// <summary>When it stops, last: nothing is signed here any more.</summary>
    public async Task EndAsync()
    {
        if (_begun && !_ended)
        {
            _ended = true;
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2), _time);
            await Replicas.EndAsync(limit.Token);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var loop in _loops.Append(Replicas).Append(Lease))
        {
            await loop.StopAsync(CancellationToken.None);
            loop.Dispose();
        }

        foreach (var objects in _watched)
        {
            await objects.DisposeAsync();
        }

        Authority?.Dispose();
    }

    private static string? WebhookProblem(WebhookCertificate certificate)
    {
        try
        {
            _ = certificate.Current;
            return null;
        }
        catch (Exception e) when (e is InvalidOperationException or System.Security.Cryptography.CryptographicException)
        {
            return e.Message;
        }
    }

    private async Task FindAuthorityAsync(CancellationToken cancellationToken)
    {
        var (api, ns) = (_settings.Api, _settings.Namespace);
        var secrets = Watch(ClusterNames.One(ClusterNames.Secrets(ns), ClusterNames.AuthoritySecret));
        _markMaps = Watch(ClusterNames.One(ClusterNames.ConfigMaps(ns), ClusterNames.MarksConfigMap));
        if (_options is { RootCertificate: null, Issuer: null, IssuerCertificate: null })
        {
            var issuers = Watch(ClusterNames.One(ClusterNames.Secrets(ns), _settings.IssuerSecret));
            await issuers.Synced.WaitAsync(cancellationToken);
            Given = IssuerSecret.Files(issuers, ns, _settings.IssuerSecret, _trustDomain, _time);
            if (_settings.IssuerRequired && !Given.IsThere)
            {
                throw new InvalidDataException($"Secret {ns}/{_settings.IssuerSecret} is missing: it was named as the mesh's issuer. Make it, with tls.crt, tls.key and ca.crt.");
            }
        }
        else
        {
            Given = AuthorityLoader.Files(_options, _time);
        }

        var maker = new CertificateMaker(_trustDomain, _options.CaKey, _time, new SecureRandom());
        Authority = new SharedAuthority(
            api, ns, secrets, new AuthorityTrial(_options, maker, _time, _loggers), () => Lease.IsLeader, NewRandom(), _time, _loggers.CreateLogger<SharedAuthority>());
        await Authority.StartAsync(Given, cancellationToken);
        AdminToken = await SecretToken.FindAsync(api, ns, cancellationToken);
        await _markMaps.Synced.WaitAsync(cancellationToken);
    }

    private void WakeWhileChanging(MeshAuthority authority)
    {
        if (authority.State.Phase != RotationPhase.Stable)
        {
            Replicas.Wake();
        }
    }

    private WatchedObjects Watch(string path)
    {
        var objects = new WatchedObjects(_settings.Api, path, _time, NewRandom(), _loggers.CreateLogger<WatchedObjects>());
        _watched.Add(objects);
        objects.Start();
        return objects;
    }

    private T Add<T>(T loop)
        where T : BackgroundService
    {
        _loops.Add(loop);
        return loop;
    }

    /// <summary>Each loop owns its own: none is shared between threads.</summary>
    private static Random NewRandom() => new();
}
