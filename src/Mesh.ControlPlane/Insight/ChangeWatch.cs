using Mesh.Concurrency;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Xds;

namespace Mesh.ControlPlane.Insight;

/// <summary>Notes what changes: configuration, endpoints, roots and certificates, clients, ejections, and the control plane's own start.</summary>
internal sealed partial class ChangeWatch(
    ChangeLog changes, ModelStore models, TrustBundleStore trust, LeafPolicyStore leafPolicy, ClientRegistry clients, IGoldenQueries golden, TimeProvider time, ILogger<ChangeWatch> logger) : IHostedService, IAsyncDisposable
{
    /// <summary>Clients that come or go together are told together, and one that comes back at once is not told at all.</summary>
    private static readonly TimeSpan ClientsTogether = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan EjectionPeriod = TimeSpan.FromSeconds(2);

    private readonly SerialLoop _loop = new(e => Log.WatchFailed(logger, e));

    // Owned by the loop.
    private readonly ClientEvents _clients = new(changes);
    private readonly Ejections _ejections = new(changes);
    private MeshModel _model = MeshModel.Empty;
    private TrustSnapshot _trust = trust.Current;
    private IDisposable? _subscription;
    private ITimer? _clientTimer;
    private ITimer? _ejectionTimer;
    private bool _clientsDue;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        changes.Add(ChangeKinds.ControlPlane, $"the control plane started (version {BuildVersion.Text})");
        _clientTimer = time.CreateTimer(_ => _loop.Post(FlushClients), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        // The first model is in force already: it is what later ones differ from.
        _subscription = models.Subscribe(model => _loop.Post(() => Take(model)));
        trust.Subscribe(() => _loop.Post(TakeTrust));
        leafPolicy.Subscribe(() => _loop.Post(() => changes.Add(ChangeKinds.Certificate, $"every workload is told to renew its certificate (life {leafPolicy.LeafLife})")));
        clients.SubscribeEvents(e => _loop.Post(() => Take(e)));
        _ejectionTimer = time.CreateTimer(_ => _loop.Post(() => _ejections.Look(_model, golden)), null, EjectionPeriod, EjectionPeriod);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        _subscription?.Dispose();
        return Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        _subscription?.Dispose();
        foreach (var timer in new[] { _clientTimer, _ejectionTimer })
        {
            if (timer is not null)
            {
                await timer.DisposeAsync();
            }
        }

        await _loop.DisposeAsync();
    }

    private void Take(MeshModel model)
    {
        var before = _model;
        _model = model;
        if (ReferenceEquals(before, MeshModel.Empty))
        {
            return;
        }

        var words = ModelWords.Between(before, model);
        if (words.Any(w => w.Kind is ChangeKinds.Config or ChangeKinds.Fault))
        {
            changes.NextVersion();
        }

        foreach (var word in words)
        {
            changes.Add(word.Kind, word.What, word.Namespace, word.Service, word.Recovery);
        }
    }

    private void TakeTrust()
    {
        var (before, after) = (_trust, trust.Current);
        _trust = after;
        var (was, are) = (before.Roots.ToDictionary(Certificates.Id), after.Roots.ToDictionary(Certificates.Id));
        foreach (var root in are.Where(r => !was.ContainsKey(r.Key)))
        {
            changes.Add(ChangeKinds.Root, $"root {root.Key} is trusted from now on");
        }

        foreach (var root in was.Where(r => !are.ContainsKey(r.Key)))
        {
            changes.Add(ChangeKinds.Root, $"root {root.Key} is trusted no more");
        }

        if (before.Version != after.Version && was.Keys.ToHashSet().SetEquals(are.Keys))
        {
            changes.Add(ChangeKinds.Certificate, "what is revoked has changed");
        }
    }

    private void Take(ClientEvent change)
    {
        _clients.Take(change);
        if (!_clientsDue)
        {
            _clientsDue = true;
            _clientTimer!.Change(ClientsTogether, Timeout.InfiniteTimeSpan);
        }
    }

    private void FlushClients()
    {
        _clientsDue = false;
        _clients.Flush();
    }

    private static partial class Log
    {
        [LoggerMessage(5410, LogLevel.Error, "A change could not be noted", EventName = nameof(WatchFailed))]
        public static partial void WatchFailed(ILogger logger, Exception exception);
    }
}
