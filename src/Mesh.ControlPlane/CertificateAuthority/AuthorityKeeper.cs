namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>Keeps the authority going: renews issuers, reads the operator's files again, and moves a change of the root on. Woken by a timer and by what workloads answer.</summary>
internal sealed partial class AuthorityKeeper : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private readonly MeshAuthority _authority;
    private readonly IssuerFiles? _files;
    private readonly TrustBundleStore _trust;
    private readonly IssuanceLog _issued;
    private readonly ITrustHolders _holders;
    private readonly LeafPolicyStore _leafPolicy;
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
        ILogger<AuthorityKeeper> logger)
    {
        (_authority, _files, _trust, _issued, _holders, _leafPolicy, _time, _logger) = (authority, given.Files, trust, issued, holders, leafPolicy, time, logger);
        holders.SubscribeHolders(Wake);
    }

    /// <summary>How long nobody must be waited for before a phase ends. An identity agent answers when it has written its files; who reads them does so every 5 s (<c>mesh xds bootstrap</c>).</summary>
    public TimeSpan Settle { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Why the operator's issuer files are not in force as they are; null when they are, or there are none.</summary>
    public string? FileProblem => _fileProblem;

    public TrustState State => _authority.State;

    /// <summary>Whom a change of the root waits for now.</summary>
    public IReadOnlyList<RotationWait> Waits => Waiting(_authority.State);

    /// <summary>Does all that is due.</summary>
    public void Tick()
    {
        lock (_lock)
        {
            ReadFiles();
            _authority.RenewIssuers();
            _trust.Prune();
            var state = _authority.State;
            if (state.Phase == RotationPhase.Stable && IsOld(state.Signing))
            {
                _authority.Rotate("less than a third of its life is left");
                return;
            }

            // Also after a crash between the two: everyone is asked for a certificate under the new root.
            if (state.Phase == RotationPhase.Issuing && _leafPolicy.IssuedAfter < state.Since)
            {
                _leafPolicy.Rotate();
            }

            if (state.Phase == RotationPhase.Stable || Waiting(state).Count > 0)
            {
                _waitedForNobodySince = null;
                return;
            }

            var since = _waitedForNobodySince ??= _time.GetTimestamp();
            if (_time.GetElapsedTime(since) >= Settle)
            {
                _waitedForNobodySince = null;
                _authority.Advance(state);
            }
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
                Tick();
                _failure = null;
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

    private void ReadFiles()
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
            _authority.Adopt(_given);
            if (_authority.State.Signing.RootId == _given.Authority.RootId || _authority.State.Next?.RootId == _given.Authority.RootId)
            {
                _given = null;
            }
        }
    }

    private IReadOnlyList<RotationWait> Waiting(TrustState state)
    {
        if (state.Phase == RotationPhase.Stable)
        {
            return [];
        }

        var trust = _trust.Current;
        return RotationStep.Waits(new RotationFacts(
            state.Phase, trust.Version, trust.RootsVersion, [.. state.Previous.Select(Certificates.Id)], _holders.Holders,
            [.. _issued.Live.Where(l => !trust.IsRevoked(l))]));
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
