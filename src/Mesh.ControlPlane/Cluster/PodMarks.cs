using System.Collections.Immutable;
using System.Net;
using System.Text.Json.Nodes;
using Mesh.Concurrency;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Marks of a cluster: on the Pod that has the address, so that every replica sees them and they end with it; of addresses without a Pod in one ConfigMap. Written first, then in use.</summary>
/// <remarks>What stands on Pods is read with them, before any cluster is served. Here is only what this replica has just written and the others do not see yet.</remarks>
internal sealed partial class PodMarks : IMeshMarkStore
{
    /// <summary>Bounds what workloads can make us remember while the API server is away.</summary>
    private const int MostWaiting = 20_000;
    private static readonly TimeSpan BetweenWrites = TimeSpan.FromMilliseconds(20);

    /// <summary>A Pod may be in the API server before it is in our model.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);

    /// <summary>A stream whose address nobody has is not kept in mind for ever.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(10);
    private readonly KubeApi _api;
    private readonly string _namespace;
    private readonly ModelStore _store;
    private readonly WatchedObjects _maps;
    private readonly TrustDomain _trustDomain;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Backoff _backoff;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly IDisposable _models;
    private readonly Task _running;

    // Guards all below.
    private readonly Lock _lock = new();
    private Dictionary<(string Id, string HostPort), Mark> _waiting = [];
    private ImmutableDictionary<(string Id, string HostPort), Mark> _written = ImmutableDictionary<(string Id, string HostPort), Mark>.Empty;
    private ImmutableDictionary<string, (string Id, bool Sidecar)> _listed = ImmutableDictionary<string, (string Id, bool Sidecar)>.Empty;
    private MeshModel? _indexed;
    private ILookup<string, Workload> _byAddress = Enumerable.Empty<Workload>().ToLookup(w => w.Address);
    private Action? _changed;

    /// <param name="maps">A list of the one ConfigMap of marks, watched.</param>
    public PodMarks(KubeApi api, string ns, ModelStore store, WatchedObjects maps, TrustDomain trustDomain, TimeProvider time, Random random, ILogger<PodMarks> logger)
    {
        (_api, _namespace, _store, _maps, _trustDomain, _time, _logger) = (api, ns, store, maps, trustDomain, time, logger);
        _backoff = new Backoff(random, TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(30));
        maps.Subscribe(ReadList);
        ReadList();
        _models = store.Subscribe(_ => Look());
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(RunAsync);
        }
    }

    /// <summary>Marks that are not written yet.</summary>
    public int Waiting
    {
        get
        {
            lock (_lock)
            {
                return _waiting.Count;
            }
        }
    }

    /// <inheritdoc/>
    public bool IsMeshed(string hostPort, SpiffeId id) => Find(hostPort, id) is not null;

    /// <inheritdoc/>
    public bool IsTransparent(string hostPort, SpiffeId id) => Find(hostPort, id) == true;

    /// <inheritdoc/>
    public void Subscribe(Action changed) => _changed += changed;

    /// <inheritdoc/>
    public void Record(string hostPort, SpiffeId id, bool transparent = false)
    {
        var key = (id.ToString(), hostPort);
        lock (_lock)
        {
            if (_waiting.TryGetValue(key, out var waits) ? waits.Sidecar == transparent : KnownLocked(hostPort, id) == transparent)
            {
                return;
            }

            if (_waiting.Count >= MostWaiting && !_waiting.ContainsKey(key))
            {
                return;
            }

            _waiting[key] = new Mark(id, hostPort, transparent, _time.GetTimestamp());
        }

        Wake();
    }

    public async ValueTask DisposeAsync()
    {
        _models.Dispose();
        await _stop.CancelAsync();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
        _wake.Dispose();
    }

    private bool? Find(string hostPort, SpiffeId id)
    {
        lock (_lock)
        {
            return _written.TryGetValue((id.ToString(), hostPort), out var mark) ? mark.Sidecar
                : _listed.TryGetValue(hostPort, out var listed) && listed.Id == id.ToString() ? listed.Sidecar
                : null;
        }
    }

    /// <summary>What is known already, of Pods too; null: nothing.</summary>
    private bool? KnownLocked(string hostPort, SpiffeId id)
    {
        if (_written.TryGetValue((id.ToString(), hostPort), out var own))
        {
            return own.Sidecar;
        }

        if (!IPEndPoint.TryParse(hostPort, out var at))
        {
            return null;
        }

        var pods = PodsLocked(at.Address.ToString(), id);
        return pods.Count > 0 ? pods.Select(p => MarkText.Find(p.Mark, at.Port)).Distinct().ToList() is [var found] ? found : null
            : _listed.TryGetValue(hostPort, out var listed) && listed.Id == id.ToString() ? listed.Sidecar : null;
    }

    /// <summary>The Pods of that identity with that address: on a host's network there may be some.</summary>
    private List<Workload> PodsLocked(string address, SpiffeId id)
    {
        var model = _store.Current;
        if (!ReferenceEquals(model, _indexed))
        {
            (_indexed, _byAddress) = (model, model.Workloads.ToLookup(w => w.Address, StringComparer.Ordinal));
        }

        return [.. _byAddress[address].Where(w => w.IsPod && w.Namespace == id.Namespace && w.ServiceAccount == id.ServiceAccount).DistinctBy(w => w.Name)];
    }

    /// <summary>A new model: what stands on Pods in it need not be remembered here; what is gone with its Pod must not be.</summary>
    private void Look()
    {
        lock (_lock)
        {
            foreach (var (key, mark) in _written)
            {
                var pods = IPEndPoint.TryParse(mark.HostPort, out var at) ? PodsLocked(at.Address.ToString(), mark.Id) : [];
                var pod = pods.Find(p => p.Name == mark.Pod);
                if (mark.Pod is not null && (pod is null || MarkText.Find(pod.Mark, at!.Port) == mark.Sidecar))
                {
                    _written = _written.Remove(key);
                }
            }
        }

        Wake();
    }

    private void ReadList()
    {
        var listed = ImmutableDictionary.CreateBuilder<string, (string Id, bool Sidecar)>(StringComparer.Ordinal);
        foreach (var (key, value) in _maps.Items.GetValueOrDefault($"{_namespace}/{ClusterNames.MarksConfigMap}")?["data"] as JsonObject ?? [])
        {
            if (MarkEntry.TryRead(key, value, out var hostPort, out var id, out var sidecar))
            {
                listed[hostPort] = (id, sidecar);
            }
        }

        lock (_lock)
        {
            _listed = listed.ToImmutable();
        }

        _changed?.Invoke();
    }

    private void Wake()
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

    private async Task RunAsync()
    {
        string? said = null;
        while (!_stop.IsCancellationRequested)
        {
            using (var elapsed = new CancellationTokenSource(Waiting > 0 ? LookAgain : Timeout.InfiniteTimeSpan, _time))
            using (var either = CancellationTokenSource.CreateLinkedTokenSource(elapsed.Token, _stop.Token))
            {
                await ((Task)_wake.WaitAsync(either.Token)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            try
            {
                await WriteAllAsync(_stop.Token);
                _backoff.Reset();
                said = null;
            }
            catch (OperationCanceledException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                if (said != e.Message)
                {
                    said = e.Message;
                    Log.NotWritten(_logger, Waiting, e.Message);
                }

                var next = _backoff.Next();
                await Task.Delay(e is KubeApiException { RetryAfter: { } asked } && asked > next ? asked : next, _time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task WriteAllAsync(CancellationToken cancellationToken)
    {
        foreach (var (pod, marks) in Due())
        {
            var written = pod is null ? await WriteListAsync(marks, cancellationToken) : await WritePodAsync(pod, marks, cancellationToken);
            lock (_lock)
            {
                foreach (var mark in marks)
                {
                    var key = (mark.Id.ToString(), mark.HostPort);
                    if (_waiting.TryGetValue(key, out var waits) && waits.Sidecar == mark.Sidecar)
                    {
                        _waiting.Remove(key);
                    }

                    if (written)
                    {
                        _written = _written.SetItem(key, mark with { Pod = pod?.Name });
                    }
                }
            }

            _changed?.Invoke();
            await Task.Delay(BetweenWrites, _time, cancellationToken);
        }
    }

    /// <summary>What can be written now, by Pod; null: no Pod stands for it, but an endpoint does.</summary>
    private List<(Workload? Pod, List<Mark> Marks)> Due()
    {
        lock (_lock)
        {
            var due = new Dictionary<string, (Workload? Pod, List<Mark> Marks)>(StringComparer.Ordinal);
            foreach (var (key, mark) in _waiting.ToList())
            {
                if (!IPEndPoint.TryParse(mark.HostPort, out var at))
                {
                    _waiting.Remove(key);
                    continue;
                }

                var address = at.Address.ToString();
                var pods = PodsLocked(address, mark.Id);
                foreach (var pod in pods)
                {
                    Add($"{pod.Namespace}/{pod.Name}", pod, mark);
                }

                if (pods.Count == 0)
                {
                    if (_byAddress[address].Any(w => !w.IsPod && (w.Port ?? at.Port) == at.Port && w.Namespace == mark.Id.Namespace && w.ServiceAccount == mark.Id.ServiceAccount))
                    {
                        Add(string.Empty, null, mark);
                    }
                    else if (_time.GetElapsedTime(mark.Since) > LongestWait)
                    {
                        _waiting.Remove(key);
                    }
                }
            }

            return [.. due.Values];

            void Add(string name, Workload? pod, Mark mark)
            {
                if (!due.TryGetValue(name, out var found))
                {
                    due[name] = found = (pod, []);
                }

                found.Marks.Add(mark);
            }
        }
    }

    /// <returns>False when the Pod is gone.</returns>
    private async Task<bool> WritePodAsync(Workload pod, List<Mark> marks, CancellationToken cancellationToken)
    {
        List<int> ports;
        lock (_lock)
        {
            // All that is known of it: another replica's word must not be lost by ours.
            ports =
            [
                .. _written.Values.Where(w => w.Pod == pod.Name && w.Id.Namespace == pod.Namespace).Concat(marks).Select(m => IPEndPoint.Parse(m.HostPort).Port),
            ];
        }

        var text = MarkText.With(pod.Mark, ports, marks[^1].Sidecar);
        var patch = new JsonObject { ["metadata"] = new JsonObject { ["annotations"] = new JsonObject { [PodMark.Annotation] = text } } };
        try
        {
            await _api.PatchAsync($"{ClusterNames.Pods(pod.Namespace)}/{pod.Name}", patch, KubePatch.Merge, ClusterNames.FieldManager, cancellationToken);
            return true;
        }
        catch (KubeApiException e) when (e.IsNotFound)
        {
            return false;
        }
    }

    private async Task<bool> WriteListAsync(List<Mark> marks, CancellationToken cancellationToken)
    {
        var data = new JsonObject(marks.Select(m => KeyValuePair.Create(MarkEntry.Key(m.HostPort), (JsonNode?)JsonValue.Create(MarkEntry.Value(m.Id.ToString(), m.Sidecar)))));
        try
        {
            _maps.Put(await _api.PatchAsync($"{ClusterNames.ConfigMaps(_namespace)}/{ClusterNames.MarksConfigMap}", new JsonObject { ["data"] = data }, KubePatch.Merge, ClusterNames.FieldManager, cancellationToken));
        }
        catch (KubeApiException e) when (e.IsNotFound)
        {
            _maps.Put(await _api.CreateAsync(ClusterNames.ConfigMaps(_namespace), new JsonObject
            {
                ["apiVersion"] = "v1",
                ["kind"] = "ConfigMap",
                ["metadata"] = new JsonObject { ["name"] = ClusterNames.MarksConfigMap, ["namespace"] = _namespace, ["labels"] = new JsonObject { ["app.kubernetes.io/part-of"] = "mesh" } },
                ["data"] = data.DeepClone(),
            }, cancellationToken));
        }

        return true;
    }

    /// <param name="Since">When it was seen, a timestamp.</param>
    private sealed record Mark(SpiffeId Id, string HostPort, bool Sidecar, long Since)
    {
        /// <summary>The Pod it stands on; null: it stands in the list.</summary>
        public string? Pod { get; init; }
    }

    private static partial class Log
    {
        [LoggerMessage(5250, LogLevel.Warning, "{Count} marks of meshed workloads are not written yet; their callers use plaintext until they are. It is tried again. {Problem}", EventName = nameof(NotWritten))]
        public static partial void NotWritten(ILogger logger, int count, string problem);
    }
}
