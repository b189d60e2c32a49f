using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Mesh.Concurrency;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>The authority's state in one Secret that all replicas watch: whoever changes it writes on the version that it read, and all take what was written. Thread-safe.</summary>
internal sealed partial class SharedAuthority : IAuthorityChanges, IDisposable
{
    private const int MostTries = 8;
    private readonly KubeApi _api;
    private readonly string _namespace;
    private readonly WatchedObjects _secrets;
    private readonly AuthorityTrial _trial;
    private readonly Func<bool> _isOurTurn;
    private readonly Backoff _backoff;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _one = new(1, 1);

    // Guards what is taken.
    private readonly Lock _lock = new();
    private ImmutableDictionary<string, byte[]> _taken = ImmutableDictionary<string, byte[]>.Empty;
    private string _takenVersion = string.Empty;
    private (string Version, bool WithGiven, StateCopy Copy, AuthorityState State)? _last;
    private volatile string? _problem;

    /// <param name="secrets">A list of the one Secret, watched.</param>
    /// <param name="isOurTurn">Whether this replica leads.</param>
    public SharedAuthority(
        KubeApi api, string ns, WatchedObjects secrets, AuthorityTrial trial, Func<bool> isOurTurn, Random random, TimeProvider time, ILogger<SharedAuthority> logger)
    {
        (_api, _namespace, _secrets, _trial, _isOurTurn, _time, _logger) = (api, ns, secrets, trial, isOurTurn, time, logger);
        _backoff = new Backoff(random, TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(1));
    }

    /// <summary>What is in force here; there is one after the start.</summary>
    public AuthorityState Live { get; private set; } = null!;

    /// <summary>Why what stands in the Secret is not in force; null when it is.</summary>
    public string? Problem => _problem;

    private string Key => $"{_namespace}/{ClusterNames.AuthoritySecret}";

    private string Path => $"{ClusterNames.Secrets(_namespace)}/{ClusterNames.AuthoritySecret}";

    private string Origin => $"Secret {Key}";

    /// <summary>Reads the state, or makes the first one: of replicas that start together one makes it and all take it.</summary>
    /// <exception cref="InvalidDataException">It can't be used, or is missing though there was one.</exception>
    /// <exception cref="KubeApiException">The API server refused.</exception>
    public async Task StartAsync(IssuerFiles? given, CancellationToken cancellationToken)
    {
        await _secrets.Synced.WaitAsync(cancellationToken);
        if (!_secrets.Items.ContainsKey(Key))
        {
            await MakeFirstAsync(given, cancellationToken);
        }

        var secret = _secrets.Items[Key];
        var content = SecretContent.Read(secret, Origin);
        Live = _trial.Live(new StateCopy(Origin, content));
        (_taken, _takenVersion) = (content, WatchedObjects.VersionOf(secret));
        _secrets.Subscribe(Take);
        Take();
    }

    /// <inheritdoc/>
    public async Task<T> ChangeAsync<T>(Func<AuthorityState, T> change, CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken);
        try
        {
            _backoff.Reset();
            for (var tries = 0; tries < MostTries; tries++)
            {
                var (copy, state, secret) = Open();
                // A copy that was written to, also by a change that failed, is tried on no more.
                var opened = _last;
                _last = null;
                var result = change(state);
                if (!copy.IsChanged && secret is not null)
                {
                    _last = opened;
                    return result;
                }

                if (await TryKeepAsync(copy, secret, cancellationToken))
                {
                    return result;
                }

                await Task.Delay(_backoff.Next(), _time, cancellationToken);
            }

            throw new StateNotKeptException($"{Origin} was changed by others each time that it was to be written. Try again.");
        }
        finally
        {
            _one.Release();
        }
    }

    public void Dispose() => _one.Dispose();

    private async Task MakeFirstAsync(IssuerFiles? given, CancellationToken cancellationToken)
    {
        // A bundle that workloads were given shows that there was an authority: another root in its place would be believed by none of them.
        if (given is not { IsThere: true }
            && await _api.GetAsync($"{ClusterNames.ConfigMaps(_namespace)}/{ClusterNames.TrustBundle}", cancellationToken) is { } bundle
            && bundle["data"]?[ClusterNames.TrustBundleKey]?.GetValue<string>() is { Length: > 0 })
        {
            throw new InvalidDataException(
                $"{Origin} is missing, and ConfigMap {_namespace}/{ClusterNames.TrustBundle} shows that the mesh has an authority already. Restore the Secret from a copy. To begin anew with another root, which no workload that runs trusts, delete that ConfigMap.");
        }

        var copy = new StateCopy(Origin, ImmutableDictionary<string, byte[]>.Empty);
        _trial.First(copy, given);
        try
        {
            _secrets.Put(await _api.CreateAsync(ClusterNames.Secrets(_namespace), SecretContent.New(_namespace, ClusterNames.AuthoritySecret, "Opaque", copy.Content), cancellationToken));
            Log.Made(_logger, Origin);
        }
        catch (KubeApiException e) when (e.IsConflict)
        {
            _secrets.Put(await _api.GetAsync(Path, cancellationToken) ?? throw new InvalidDataException($"{Origin} was made by another replica and is gone again. Try again."));
        }
    }

    private (StateCopy Copy, AuthorityState State, JsonObject? Secret) Open()
    {
        if (_problem is { } problem && _secrets.Items.ContainsKey(Key))
        {
            throw new StateNotKeptException(problem);
        }

        var secret = _secrets.Items.GetValueOrDefault(Key);
        var (version, withGiven) = (secret is null ? string.Empty : WatchedObjects.VersionOf(secret), _isOurTurn());
        if (_last is { } last && last.Version == version && last.WithGiven == withGiven && secret is not null)
        {
            return (last.Copy, last.State, secret);
        }

        // Deleted under us: what was taken last is written again.
        var copy = new StateCopy(Origin, secret is null ? _taken : SecretContent.Read(secret, Origin));
        var state = _trial.Kept(copy, withGiven);
        _last = (version, withGiven, copy, state);
        return (copy, state, secret);
    }

    /// <returns>False when another has changed it meanwhile; what that one wrote is here then.</returns>
    private async Task<bool> TryKeepAsync(StateCopy copy, JsonObject? secret, CancellationToken cancellationToken)
    {
        try
        {
            if (secret is null)
            {
                _secrets.Put(await _api.CreateAsync(ClusterNames.Secrets(_namespace), SecretContent.New(_namespace, ClusterNames.AuthoritySecret, "Opaque", copy.Content), cancellationToken));
                Log.Restored(_logger, Origin);
                return true;
            }

            var next = (JsonObject)secret.DeepClone();
            next["data"] = SecretContent.Write(copy.Content);
            _secrets.Put(await _api.ReplaceAsync(Path, next, cancellationToken));
            return true;
        }
        catch (KubeApiException e) when (e.IsConflict || e.IsNotFound)
        {
            await RefreshAsync(cancellationToken);
            return false;
        }
        catch (KubeApiException e)
        {
            // It may have been kept although no answer came: then the watch tells.
            throw new StateNotKeptException($"{Origin} could not be written, so nothing has changed. Try again. {e.Message}", e);
        }
    }

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (await _api.GetAsync(Path, cancellationToken) is { } secret)
            {
                _secrets.Put(secret);
            }
            else
            {
                _secrets.Remove(Key);
            }
        }
        catch (KubeApiException e)
        {
            throw new StateNotKeptException($"{Origin} could not be read, so nothing has changed. Try again. {e.Message}", e);
        }
    }

    /// <summary>Puts in force what stands in the Secret; what can't be used leaves the last good in force.</summary>
    private void Take()
    {
        lock (_lock)
        {
            if (_secrets.Items.GetValueOrDefault(Key) is not { } secret)
            {
                SayLocked($"{Origin} was deleted. What it held last stays in force, and the leader writes it again.");
                return;
            }

            var version = WatchedObjects.VersionOf(secret);
            if (version == _takenVersion && _problem is null)
            {
                return;
            }

            try
            {
                var content = SecretContent.Read(secret, Origin);
                if (!StateCopy.Same(content, _taken))
                {
                    TakeLocked(new StateCopy(Origin, content));
                }

                (_taken, _takenVersion, _problem) = (content, version, null);
            }
            catch (InvalidDataException e)
            {
                SayLocked($"{e.Message} What it held before stays in force here.");
            }
        }
    }

    private void TakeLocked(StateCopy copy)
    {
        var state = AuthorityLoader.Kept(copy, out var anchors);
        var revocations = TrustBundleStore.Read(copy);
        // The same authority stays the same object: what was made under it need not be made again.
        var now = Live.Authority.State;
        state = state with { Signing = Same(state.Signing, now) ?? state.Signing, Next = state.Next is { } next ? Same(next, now) ?? next : null };
        Live.Authority.Take(state, anchors, revocations);
        Live.LeafPolicy.Take(copy);
        Log.Taken(_logger, Origin, state.Phase, state.Signing.RootId, revocations.Count);
    }

    private static SigningAuthority? Same(SigningAuthority taken, TrustState now) =>
        new[] { now.Signing, now.Next }.FirstOrDefault(held => held is not null && held.RootId == taken.RootId && held.Issuer.Certificate.Equals(taken.Issuer.Certificate) && held.Origin == taken.Origin);

    private void SayLocked(string problem)
    {
        if (_problem != problem)
        {
            _problem = problem;
            Log.Refused(_logger, problem);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(5230, LogLevel.Information, "{Secret} was made: it holds the mesh's authority from now on. Keep a copy of it", EventName = nameof(Made))]
        public static partial void Made(ILogger logger, string secret);

        [LoggerMessage(5231, LogLevel.Warning, "{Secret} was gone and has been written again with what it held last", EventName = nameof(Restored))]
        public static partial void Restored(ILogger logger, string secret);

        [LoggerMessage(5232, LogLevel.Information, "{Secret} was taken: {Phase}, root {Root} signs, {Revocations} revocations", EventName = nameof(Taken))]
        public static partial void Taken(ILogger logger, string secret, RotationPhase phase, string root, int revocations);

        [LoggerMessage(5233, LogLevel.Error, "{Problem}", EventName = nameof(Refused))]
        public static partial void Refused(ILogger logger, string problem);
    }
}
