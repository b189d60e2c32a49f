using Mesh.ControlPlane.Model;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>The authority as it is now, and every change of it: on disk first, then told, then in force. Thread-safe.</summary>
internal sealed partial class MeshAuthority
{
    private readonly IStateStore _data;
    private readonly TrustBundleStore _trust;
    private readonly CertificateMaker _maker;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _lock = new();
    private IReadOnlyList<X509Certificate> _anchors;
    private volatile TrustState _state;

    /// <param name="anchors">Roots that the operator has everyone trust besides.</param>
    public MeshAuthority(
        TrustState state, IReadOnlyList<X509Certificate> anchors, IStateStore data, TrustBundleStore trust, CertificateMaker maker, TimeProvider time, ILogger<MeshAuthority> logger)
    {
        (_state, _anchors, _data, _trust, _maker, _time, _logger) = (state, anchors, data, trust, maker, time, logger);
        lock (_lock)
        {
            SetLocked(state);
        }

        // Shared state is changed by whose turn it is.
        if (!data.IsShared)
        {
            RenewIssuers();
        }
    }

    public TrustState State => _state;

    /// <summary>Whom everyone is told to trust.</summary>
    public TrustSnapshot Trust => _trust.Current;

    /// <summary>Signs under the authority in force. No change of it comes between what the signer sees and what it notes: a leaf is under the root that it is counted for.</summary>
    public T Sign<T>(Func<SigningAuthority, TrustSnapshot, T> sign)
    {
        lock (_lock)
        {
            return sign(_state.Signing, _trust.Current);
        }
    }

    /// <summary>Begins to change the root for a new one of our own.</summary>
    /// <returns>Null when it has begun; else why it can't.</returns>
    public string? Rotate(string why)
    {
        lock (_lock)
        {
            if (_state.Phase != RotationPhase.Stable)
            {
                return $"A change of the root is under way since {_state.Since:u} ({_state.Phase}). It ends by itself; 'mesh identity rotate --root --wait' shows what it waits for.";
            }

            if (_state.Signing.Origin != AuthorityOrigin.Own)
            {
                return _state.Signing.Origin == AuthorityOrigin.GivenIssuer
                    ? "The issuer was given with --issuer or --issuer-cert: put an issuer of the new root, and that root, into these files; the change then runs by itself."
                    : "The root was given with --root-cert and --root-key: restart the control plane with the new root there; the change then runs by itself.";
            }

            var next = _maker.NewRoot();
            SetLocked(_state.Adopt(next, _time.GetUtcNow()));
            Log.RotationBegan(_logger, _state.Signing.RootId, next.RootId, why);
            return null;
        }
    }

    /// <summary>Takes what the operator's files say.</summary>
    public void Adopt(GivenIssuer given)
    {
        lock (_lock)
        {
            var next = _state.Adopt(given.Authority, _time.GetUtcNow());
            if (ReferenceEquals(next, _state))
            {
                // Not now: a change of the root is on its way that has to end first.
                return;
            }

            if (next.Phase == RotationPhase.Distributing && _state.Phase != RotationPhase.Distributing)
            {
                Log.RotationBegan(_logger, _state.Signing.RootId, given.Authority.RootId, "the issuer's files name another root");
            }

            SetLocked(next, given.Anchors);
            Log.IssuerTaken(_logger, given.Authority.Issuer.Certificate.SubjectDN.ToString(), Certificates.NotAfter(given.Authority.Issuer.Certificate));
        }
    }

    /// <summary>Goes on to the next phase, unless another change has come between.</summary>
    public void Advance(TrustState from)
    {
        lock (_lock)
        {
            if (!ReferenceEquals(_state, from))
            {
                return;
            }

            var next = from.Advance(_time.GetUtcNow());
            SetLocked(next);
            if (next.Phase == RotationPhase.Retiring)
            {
                AuthorityLoader.ForgetEarlierRoot(_data);
            }

            Log.RotationWentOn(_logger, from.Phase, next.Phase, next.Signing.RootId);
        }
    }

    /// <summary>Takes what another replica has kept: roots, phase and revocations together.</summary>
    public void Take(TrustState next, IReadOnlyList<X509Certificate> anchors, IReadOnlyList<Revocation> revocations)
    {
        TrustState before;
        lock (_lock)
        {
            _trust.Take(Trusted(next, anchors), revocations);
            before = _state;
            (_state, _anchors) = (next, anchors);
        }

        if (before.Phase != next.Phase)
        {
            Log.RotationWentOn(_logger, before.Phase, next.Phase, next.Signing.RootId);
        }
        else if (!before.Signing.Issuer.Certificate.Equals(next.Signing.Issuer.Certificate))
        {
            Log.IssuerRenewed(_logger, next.Signing.Issuer.Certificate.SubjectDN.ToString(), Certificates.NotAfter(next.Signing.Issuer.Certificate));
        }
    }

    /// <summary>A new issuer of our own at half the old one's life; its leaves stay good, as the root is the same.</summary>
    public void RenewIssuers()
    {
        lock (_lock)
        {
            var (signing, next) = (Renewed(_state.Signing), _state.Next is null ? null : Renewed(_state.Next));
            if (!ReferenceEquals(signing, _state.Signing) || !ReferenceEquals(next, _state.Next))
            {
                SetLocked(_state with { Signing = signing, Next = next });
            }
        }
    }

    private SigningAuthority Renewed(SigningAuthority authority)
    {
        var fits = _maker.Fits(authority);
        if (authority.RenewIssuerAt is not { } at || (_time.GetUtcNow() < at && fits))
        {
            return authority;
        }

        var renewed = _maker.WithNewIssuer(authority.Origin, new SigningPair(authority.Root, authority.RootKey!));
        // Near the root's end a new one would end with it just as the old one does.
        if (fits && Certificates.NotAfter(renewed.Issuer.Certificate) <= Certificates.NotAfter(authority.Issuer.Certificate))
        {
            return authority;
        }

        Log.IssuerRenewed(_logger, renewed.Issuer.Certificate.SubjectDN.ToString(), Certificates.NotAfter(renewed.Issuer.Certificate));
        return renewed;
    }

    /// <summary>In force last: where one of the files can't be written nothing has changed, and the whole is tried again.</summary>
    private void SetLocked(TrustState next, IReadOnlyList<X509Certificate>? anchors = null)
    {
        anchors ??= _anchors;
        AuthorityStore.Write(_data, next, anchors);
        _trust.SetRoots(Trusted(next, anchors));
        (_state, _anchors) = (next, anchors);
    }

    private static List<X509Certificate> Trusted(TrustState state, IReadOnlyList<X509Certificate> anchors) => [.. state.Roots.Concat(anchors).DistinctBy(Certificates.Id)];

    private static partial class Log
    {
        [LoggerMessage(4650, LogLevel.Warning, "The root changes from {Old} to {New}: {Why}. It goes on by itself; see 'mesh identity rotate --root --wait'", EventName = nameof(RotationBegan))]
        public static partial void RotationBegan(ILogger logger, string old, string @new, string why);

        [LoggerMessage(4651, LogLevel.Information, "The change of the root went from {From} to {To}; {Root} signs", EventName = nameof(RotationWentOn))]
        public static partial void RotationWentOn(ILogger logger, RotationPhase from, RotationPhase to, string root);

        [LoggerMessage(4652, LogLevel.Information, "Issuer '{Subject}' signs leaves now, valid to {NotAfter:u}", EventName = nameof(IssuerRenewed))]
        public static partial void IssuerRenewed(ILogger logger, string subject, DateTimeOffset notAfter);

        [LoggerMessage(4653, LogLevel.Information, "The issuer's files were read: '{Subject}', valid to {NotAfter:u}", EventName = nameof(IssuerTaken))]
        public static partial void IssuerTaken(ILogger logger, string subject, DateTimeOffset notAfter);
    }
}
