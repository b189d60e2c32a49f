using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Sources.Manifests.Policies;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Sources;

/// <summary>Makes models of what a source has read and publishes them; keeps host names resolved, ends policies in time, and tells problems once.</summary>
/// <remarks>Owned by the source's loop, but for <see cref="StopAsync"/> and what follows it.</remarks>
internal sealed partial class ModelPublisher : IAsyncDisposable
{
    /// <summary>A name server that hangs must not hold back all else.</summary>
    private static readonly TimeSpan LookUpTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Timers take no longer time; one that comes too early only publishes the same again.</summary>
    private static readonly TimeSpan LongestTimer = TimeSpan.FromDays(1);

    private readonly TrustDomain _trustDomain;
    private readonly TimeSpan _resolveInterval;
    private readonly IMeshMarks _marks;
    private readonly ModelStore _store;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly IHostNameResolver _resolver;
    private readonly Action _publishSoon;
    private readonly bool _inMotion;
    private readonly CancellationTokenSource _stopping = new();
    private readonly ITimer _expiry;
    private readonly ITimer _resolve;
    private readonly Lock _lock = new();

    /// <summary>Guarded by the lock: look-ups end beside the loop.</summary>
    private readonly HostNameTable _hostNames = new();

    // Owned by the loop.
    private HashSet<SourceProblem> _logged = [];
    private HashSet<(string Policy, string Where, string What)> _unheld = [];
    private HostNameUse[] _wanted = [];
    private Task _lookUp = Task.CompletedTask;

    /// <param name="inMotion">Kinds come apart: what refers to something that is not there may only be ahead of it.</param>
    /// <param name="publishSoon">Has the loop publish what is in force again. Thread-safe.</param>
    public ModelPublisher(
        TrustDomain trustDomain, TimeSpan resolveInterval, IMeshMarks marks, ModelStore store, TimeProvider time, ILogger logger, IHostNameResolver resolver, bool inMotion, Action publishSoon)
    {
        (_trustDomain, _resolveInterval, _marks, _store, _time, _logger, _resolver, _publishSoon) = (trustDomain, resolveInterval, marks, store, time, logger, resolver, publishSoon);
        _inMotion = inMotion;
        _expiry = time.CreateTimer(_ => publishSoon(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _resolve = time.CreateTimer(_ => LookUp(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Looks host names up again and again from now on.</summary>
    public void Start() => _resolve.Change(_resolveInterval, _resolveInterval);

    /// <param name="files">In the order in which duplicates are decided: the first wins.</param>
    public MeshModel Publish(IEnumerable<ManifestFile> files)
    {
        var inForce = files as IReadOnlyCollection<ManifestFile> ?? [.. files];
        var now = _time.GetUtcNow();
        MeshModel model;
        lock (_lock)
        {
            _wanted = HostNameUse.Find(inForce);
            model = ModelAssembler.Assemble(inForce, _trustDomain, _marks, _hostNames.AddressesOf, now, _inMotion);
            model = model with { Problems = [.. model.Problems, .. _wanted.Select(w => w.Problem(_hostNames)).OfType<SourceProblem>()] };
        }

        PublishAtNextExpiry(model, now);
        _store.Publish(model);
        foreach (var problem in model.Problems.Where(p => !_logged.Contains(p)))
        {
            Log.ManifestProblem(_logger, problem.Where, problem.What);
        }

        var unheld = UnheldPolicies.Find(model);
        foreach (var (policy, where, what) in unheld.Except(_unheld))
        {
            Log.AuthorizationNotHeld(_logger, policy, where, what);
        }

        (_logged, _unheld) = ([.. model.Problems], unheld);
        return model;
    }

    /// <summary>Before the first publication: so that it has addresses.</summary>
    public async Task LookUpAsync(IEnumerable<ManifestFile> files)
    {
        var wanted = HostNameUse.Find(files).Select(w => w.Name).ToHashSet(StringComparer.Ordinal);
        if (wanted.Count > 0)
        {
            var answers = await AskAsync(wanted);
            lock (_lock)
            {
                _hostNames.Apply(answers, wanted);
            }
        }
    }

    /// <summary>Looks up beside the loop: at most one look-up of all names runs.</summary>
    public void LookUp()
    {
        lock (_lock)
        {
            var names = _wanted.Select(w => w.Name).ToHashSet(StringComparer.Ordinal);
            if (names.Count == 0 || !_lookUp.IsCompleted || _stopping.IsCancellationRequested)
            {
                return;
            }

            using (ExecutionContext.SuppressFlow())
            {
                _lookUp = Task.Run(() => LookUpAsync(names));
            }
        }
    }

    /// <summary>Nothing new begins; the loop may end now.</summary>
    public async Task StopAsync()
    {
        await _expiry.DisposeAsync();
        await _resolve.DisposeAsync();
        await _stopping.CancelAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _lookUp;
        _stopping.Dispose();
    }

    private async Task LookUpAsync(HashSet<string> names)
    {
        var answers = await AskAsync(names);
        bool changed;
        lock (_lock)
        {
            changed = _hostNames.Apply(answers, _wanted.Select(w => w.Name).ToHashSet(StringComparer.Ordinal));
        }

        if (changed)
        {
            _publishSoon();
        }
    }

    private async Task<HostNameAnswer[]> AskAsync(HashSet<string> names)
    {
        using var timeout = new CancellationTokenSource(LookUpTimeout, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _stopping.Token);
        return await HostNameTable.LookUpAsync(_resolver, names, both.Token);
    }

    /// <summary>A policy that ends is taken from those too who cannot tell by themselves.</summary>
    private void PublishAtNextExpiry(MeshModel model, DateTimeOffset now)
    {
        var next = model.Policies.Select(p => p.ExpiresAt).Where(end => end > now).Min();
        var wait = next is not { } end ? Timeout.InfiniteTimeSpan : end - now < LongestTimer ? end - now + TimeSpan.FromMilliseconds(1) : LongestTimer;
        try
        {
            _expiry.Change(wait, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // Stopping, with a publication still in the loop.
        }
    }
}
