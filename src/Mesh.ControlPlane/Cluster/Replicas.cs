using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.Concurrency;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Tells the other replicas what a change of the root needs to know of this one, and knows it of them. Thread-safe.</summary>
internal sealed partial class Replicas : BackgroundService, IReplicas
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(30);
    private readonly KubeApi _api;
    private readonly string _namespace;
    private readonly string _pod;
    private readonly WatchedObjects _maps;
    private readonly LeaderLease _lease;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly Lock _lock = new();
    private ImmutableDictionary<string, OtherReplica> _others = ImmutableDictionary<string, OtherReplica>.Empty;
    private IReadOnlyList<SignedLeaves> _earlier = [];
    private Func<ReplicaFacts>? _facts;
    private volatile Func<TrustSnapshot, IEnumerable<RotationWait>> _undone = static _ => [];
    private Action? _changed;
    private volatile string? _address;
    private string? _said;
    private string? _written;

    public Replicas(KubeApi api, string ns, string pod, WatchedObjects maps, LeaderLease lease, TimeProvider time, ILogger<Replicas> logger)
    {
        (_api, _namespace, _pod, _maps, _lease, _time, _logger) = (api, ns, pod, maps, lease, time, logger);
        maps.Subscribe(Look);
    }

    /// <inheritdoc/>
    public bool IsOurTurn => _lease.IsLeader;

    /// <summary>All others, those that are over too.</summary>
    public IReadOnlyCollection<OtherReplica> Others
    {
        get
        {
            lock (_lock)
            {
                return [.. _others.Values];
            }
        }
    }

    private string Name => ClusterNames.ReplicaPrefix + _pod;

    /// <inheritdoc/>
    public void Subscribe(Action changed) => _changed += changed;

    /// <inheritdoc/>
    public bool HeldElsewhere(string identity, string node, string version)
    {
        var name = ReplicaSummary.NameOf(identity, node);
        return Others.Any(o => o.Holds(name, version) && o.FreshUntil.Left(_time) > TimeSpan.Zero);
    }

    /// <inheritdoc/>
    public IReadOnlyList<RotationWait> WaitsElsewhere(TrustState state, TrustSnapshot trust) =>
    [
        .. Others.OrderBy(o => o.Pod, StringComparer.Ordinal).SelectMany(o => o.Waits(state, trust, _time)),
        .. state.Phase == RotationPhase.Distributing ? _undone(trust) : [],
    ];

    /// <summary>Where the roots must stand, beside all workloads, before the next one signs: what of it is not done.</summary>
    public void Expect(Func<TrustSnapshot, IEnumerable<RotationWait>> undone) => _undone = undone;

    /// <summary>Says the first word, before this replica serves anybody: a change of the root must not go on without it.</summary>
    /// <param name="facts">What is so at the moment; asked each time.</param>
    public async Task BeginAsync(Func<ReplicaFacts> facts, CancellationToken cancellationToken)
    {
        _facts = facts;
        await _maps.Synced.WaitAsync(cancellationToken);
        if (_maps.Items.GetValueOrDefault($"{_namespace}/{Name}") is { } own)
        {
            Inherit(own);
        }

        Look();
        await WriteAsync(stopped: false, cancellationToken);
    }

    /// <summary>Where the others reach this one: host and port of its gRPC port.</summary>
    public void ServesAt(string address)
    {
        _address = address;
        Wake();
    }

    /// <summary>Something may be new to the others. Never blocks.</summary>
    public void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (Exception e) when (e is SemaphoreFullException or ObjectDisposedException)
        {
            // Awake already, or stopped.
        }
    }

    /// <summary>The last word: what was signed here, and that no more will be.</summary>
    public async Task EndAsync(CancellationToken cancellationToken)
    {
        await StopAsync(cancellationToken);
        try
        {
            if (_facts is not null)
            {
                await WriteAsync(stopped: true, cancellationToken);
            }
        }
        catch (Exception e) when (e is KubeApiException or OperationCanceledException)
        {
            Log.NotTold(_logger, Name, e.Message);
        }
    }

    public override void Dispose()
    {
        base.Dispose();
        _wake.Dispose();
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            using var elapsed = new CancellationTokenSource(Beat, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(elapsed.Token, stoppingToken);
            await ((Task)_wake.WaitAsync(either.Token)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            try
            {
                await WriteAsync(stopped: false, stoppingToken);
                _said = null;
                // Many answers come together: they are told together.
                await Task.Delay(TimeSpan.FromMilliseconds(500), _time, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is KubeApiException or OperationCanceledException)
            {
                if (_said != e.Message)
                {
                    _said = e.Message;
                    Log.NotTold(_logger, Name, e.Message);
                }
            }
        }
    }

    /// <summary>What an earlier process of this pod may have signed counts as signed here.</summary>
    private void Inherit(JsonObject own)
    {
        try
        {
            var before = ReplicaSummary.Read(own);
            var now = _time.GetUtcNow();
            var unknown = before.Stopped ? [] : new[] { new SignedLeaves(before.Root, before.Roots, now + TimeSpan.FromSeconds(before.LeafLifeSeconds), 0) };
            _earlier = [.. before.Signed.Concat(unknown)];
        }
        catch (JsonException e)
        {
            Log.Broken(_logger, Name, e.Message);
        }
    }

    private async Task WriteAsync(bool stopped, CancellationToken cancellationToken)
    {
        var facts = _facts!();
        var now = _time.GetUtcNow();
        var earlier = _earlier.Where(s => s.Until > now).ToList();
        // Certificates of an earlier process are nobody's but ours to wait for.
        var waits = facts.Waits.Concat(
            from signed in earlier
            let need = signed.NeedIn(facts.State, facts.Trust)
            where need is not null
            select new RotationWait(ClusterNames.Service, $"{_pod} before its restart", false, need, signed.Until)).ToList();
        var held = facts.State.Phase == RotationPhase.Stable ? [] : facts.Holders.Where(h => h.Asks && h.Held == facts.Trust.Version)
            .Select(h => ReplicaSummary.NameOf(h.Identity.ToString(), h.Node)).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).Take(ReplicaSummary.MostHeld).ToList();
        var summary = new ReplicaSummary(
            facts.Trust.Version, facts.Trust.RootsVersion, facts.State.Signing.RootId, facts.State.Since, (long)Math.Ceiling(facts.LeafLife.TotalSeconds), waits.Count,
            [.. waits.Take(ReplicaSummary.MostWaits)], [.. SignedLeaves.Of(facts.Leaves).Concat(earlier)], held, stopped).Write();
        await PutAsync(summary, now, cancellationToken);
        if (_written != summary)
        {
            _written = summary;
            _changed?.Invoke();
        }
    }

    private async Task PutAsync(string summary, DateTimeOffset now, CancellationToken cancellationToken)
    {
        // A word each beat, also when nothing is new: silence means that we are gone.
        var data = new JsonObject { [ReplicaSummary.DataKey] = summary, ["beat"] = now.ToString("O", CultureInfo.InvariantCulture), [ReplicaSummary.GoneKey] = null };
        if (_address is { } address)
        {
            data[ReplicaSummary.AddressKey] = address;
        }

        try
        {
            await _api.PatchAsync($"{ClusterNames.ConfigMaps(_namespace)}/{Name}", new JsonObject { ["data"] = data }, KubePatch.Merge, ClusterNames.FieldManager, cancellationToken);
        }
        catch (KubeApiException e) when (e.IsNotFound)
        {
            data.Remove(ReplicaSummary.GoneKey);
            await _api.CreateAsync(ClusterNames.ConfigMaps(_namespace), new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "ConfigMap",
                ["metadata"] = new JsonObject { ["name"] = Name, ["namespace"] = _namespace, ["labels"] = new JsonObject { [ClusterNames.ReplicaLabel] = "true", ["app.kubernetes.io/part-of"] = "mesh" } },
                ["data"] = data.DeepClone(),
            }, cancellationToken);
        }
    }

    /// <summary>Reads the others' ConfigMaps.</summary>
    private void Look()
    {
        lock (_lock)
        {
            var next = ImmutableDictionary.CreateBuilder<string, OtherReplica>(StringComparer.Ordinal);
            foreach (var map in _maps.Items.Values)
            {
                if (map["metadata"]?["name"]?.GetValue<string>() is not { } name || !name.StartsWith(ClusterNames.ReplicaPrefix, StringComparison.Ordinal) || name == Name)
                {
                    continue;
                }

                var pod = name[ClusterNames.ReplicaPrefix.Length..];
                next[pod] = _others.TryGetValue(pod, out var known) && known.Version == WatchedObjects.VersionOf(map) ? known : new OtherReplica(pod, map, new Appointment(_time, Fresh));
            }

            _others = next.ToImmutable();
        }

        _changed?.Invoke();
    }

    private static partial class Log
    {
        [LoggerMessage(5240, LogLevel.Warning, "The other replicas could not be told of this one (ConfigMap {Name}); it is tried again, and until then no change of the root goes on. {Problem}", EventName = nameof(NotTold))]
        public static partial void NotTold(ILogger logger, string name, string problem);

        [LoggerMessage(5241, LogLevel.Warning, "ConfigMap {Name} of an earlier start can't be read: {Problem}", EventName = nameof(Broken))]
        public static partial void Broken(ILogger logger, string name, string problem);
    }
}

/// <summary>What is so in this replica at one moment.</summary>
/// <param name="Waits">Whom this replica waits for.</param>
internal sealed record ReplicaFacts(TrustState State, TrustSnapshot Trust, TimeSpan LeafLife, IReadOnlyList<RotationWait> Waits, IReadOnlyList<Issuance> Leaves, IReadOnlyList<TrustHolder> Holders);
