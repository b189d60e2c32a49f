namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>Keeps the authority going: renews issuers, reads the operator's files again, and moves a change of the root on. Woken by a timer and by what workloads answer.</summary>
internal sealed partial class AuthorityKeeper : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private readonly AuthorityState _live;
    private readonly IAuthorityChanges _changes;
    private readonly IReplicas _replicas;
    private readonly IssuerFiles? _files;
    private readonly IssuanceLog _issued;
    private readonly ITrustHolders _holders;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly Lock _lock = new();
    private volatile string? _fileProblem;
    private string? _failure;
    private GivenIssuer? _given;
    private long? _waitedForNobodySince;

    public AuthorityKeeper(
        MeshAuthority authority, GivenFiles given, TrustBundleStore trust, IssuanceLog issued, ITrustHolders holders, LeafPolicyStore leafPolicy, TimeProvider time,
        ILogger<AuthorityKeeper> logger, IAuthorityChanges? changes = null, IReplicas? replicas = null)
    {
        _live = new AuthorityState(authority, trust, leafPolicy);
        (_changes, _replicas) = (changes ?? new OwnState(_live), replicas ?? OnlyReplica.Instance);
        (_files, _issued, _holders, _time, _logger) = (given.Files, issued, holders, time, logger);
        holders.SubscribeHolders(Wake);
        _replicas.Subscribe(Wake);
    }

    /// <summary>How long nobody must be waited for before a phase ends. An identity agent answers when it has written its files; who reads them does so every 5 s (<c>mesh xds bootstrap</c>).</summary>
    public TimeSpan Settle { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Why the operator's issuer files are not in force as they are; null when they are, or there are none.</summary>
    public string? FileProblem => _fileProblem;

    public TrustState State => _live.Authority.State;

    /// <summary>Whom a change of the root waits for now.</summary>
    public IReadOnlyList<RotationWait> Waits => [.. OwnWaits, .. State is { Phase: not RotationPhase.Stable } state ? _replicas.WaitsElsewhere(state, _live.Trust.Current) : []];

    /// <summary>Those of them that this replica knows of.</summary>
    public IReadOnlyList<RotationWait> OwnWaits => Waiting(State, _live.Trust.Current);

    /// <summary>Does all that is due.</summary>
    public void Tick()
    {
        Tick(_live);
        ForgetTaken();
    }

    private bool Tick(AuthorityState on)
    {
        var (authority, trust, leafPolicy) = on;
        lock (_lock)
        {
            ReadFiles(authority);
            authority.RenewIssuers();
            trust.Prune();
            var state = authority.State;
            if (state.Phase == RotationPhase.Stable && IsOld(state.Signing))
            {
                authority.Rotate("less than a third of its life is left");
                return true;
            }

            // Also after a crash between the two: everyone is asked for a certificate under the new root.
            if (state.Phase == RotationPhase.Issuing && leafPolicy.IssuedAfter < state.Since)
            {
                leafPolicy.Rotate();
            }

            if (state.Phase == RotationPhase.Stable || Waiting(state, trust.Current).Count > 0 || _replicas.WaitsElsewhere(state, trust.Current).Count > 0)
            {
                _waitedForNobodySince = null;
                return true;
            }

            var since = _waitedForNobodySince ??= _time.GetTimestamp();
            if (_time.GetElapsedTime(since) >= Settle)
            {
                _waitedForNobodySince = null;
                authority.Advance(state);
            }

            return true;
        }
    }

    /// <inheritdoc/>
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
            try
            {
                if (_replicas.IsOurTurn)
                {
                    await _changes.ChangeAsync(Tick, stoppingToken);
                    ForgetTaken();
                }
                else
                {
                    Rest();
                }

                _failure = null;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // A full disk, for one: what could not be saved has not happened and is tried again. Nothing may end this loop, or roots would end unseen.
                if (_failure != e.Message)
                {
                    _failure = e.Message;
                    Log.TickFailed(_logger, e);
                }
            }

            using var elapsed = new CancellationTokenSource(Period, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(elapsed.Token, stoppingToken);
            try
            {
                await _wake.WaitAsync(either.Token);
            }
            catch (OperationCanceledException)
            {
                // Due, or stopped.
            }
        }
    }

    /// <summary>Another replica's turn: what was begun to be counted is counted anew when it is ours again.</summary>
    private void Rest()
    {
        lock (_lock)
        {
            _waitedForNobodySince = null;
        }
    }

    private bool IsOld(SigningAuthority authority)
    {
        var (start, end) = (Certificates.NotBefore(authority.Root), Certificates.NotAfter(authority.Root));
        return authority.Origin == AuthorityOrigin.Own && end - _time.GetUtcNow() < (end - start) / 3;
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

    private void ReadFiles(MeshAuthority authority)
    {
        if (_files is null)
        {
            return;
        }

        if (_files.Poll() is { } given)
        {
            _given = given;
        }

        if (_files.Problem is { } problem && problem != _fileProblem)
        {
            Log.FilesRefused(_logger, problem);
        }

        _fileProblem = _files.Problem;

        // Where a change of the root has gone too far for a third one, it is taken when that is over.
        if (_given is not null)
        {
            authority.Adopt(_given);
        }
    }

    /// <summary>What the files gave is done with when it is kept.</summary>
    private void ForgetTaken()
    {
        lock (_lock)
        {
            if (_given?.Authority is { } given && (Is(State.Signing) || (State.Next is { } next && Is(next))))
            {
                _given = null;
            }

            bool Is(SigningAuthority held) => held.RootId == given.RootId && held.Issuer.Certificate.Equals(given.Issuer.Certificate);
        }
    }

    private IReadOnlyList<RotationWait> Waiting(TrustState state, TrustSnapshot trust)
    {
        if (state.Phase == RotationPhase.Stable)
        {
            return [];
        }

        IReadOnlyList<Issuance> leaves = [.. _issued.Live.Where(l => !trust.IsRevoked(l))];
        var holders = _holders.Holders;
        var connected = holders.Where(h => h.Asks).Select(h => (h.Identity.ToString(), h.Node)).ToHashSet();
        // Who got its certificate here may have its stream elsewhere.
        var elsewhere = leaves.Select(l => (l.Identity, l.Node)).Distinct().Where(w => !connected.Contains(w) && _replicas.HeldElsewhere(w.Identity, w.Node, trust.Version))
            .Select(w => new TrustHolder(Spiffe.SpiffeId.Parse(w.Identity), w.Node, true, trust.Version));
        return RotationStep.Waits(new RotationFacts(
            state.Phase, trust.Version, trust.RootsVersion, [.. state.Previous.Select(Certificates.Id)], [.. holders, .. elsewhere], leaves));
    }

    private static partial class Log
    {
        [LoggerMessage(4660, LogLevel.Error, "The issuer's files have changed and can't be used; the last good issuer goes on signing. {Problem}", EventName = nameof(FilesRefused))]
        public static partial void FilesRefused(ILogger logger, string problem);

        [LoggerMessage(4661, LogLevel.Error, "The certificate authority could not do what is due; it is tried again every second", EventName = nameof(TickFailed))]
        public static partial void TickFailed(ILogger logger, Exception exception);
    }
}

/// <summary>The operator's issuer files; none when the authority is our own.</summary>
internal sealed record GivenFiles(IssuerFiles? Files);
