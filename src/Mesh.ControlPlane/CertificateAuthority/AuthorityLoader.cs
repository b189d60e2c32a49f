using Mesh.ControlPlane.Model;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>Finds the authority when the control plane starts: what the operator gave, else what the data folder holds, else a new root.</summary>
/// <remarks>A root that is another than the stored one comes into force by a rotation, as any does.</remarks>
internal sealed partial class AuthorityLoader(IStateStore data, MeshControlPlaneOptions options, CertificateMaker maker, TimeProvider time, ILogger<AuthorityLoader> logger)
{
    /// <summary>The root of earlier versions, which signed leaves itself.</summary>
    private const string EarlierCertificate = "root-cert.pem";
    private const string EarlierKey = "root-key.pem";

    /// <exception cref="InvalidDataException">What was given or kept can't be used.</exception>
    public TrustState Load(IssuerFiles? given, out IReadOnlyList<Org.BouncyCastle.X509.X509Certificate> anchors)
    {
        anchors = [];
        var stored = AuthorityStore.Read(data);
        if (given is { IsThere: false } or null && data.IsShared && stored is { Whole: { Signing.Origin: AuthorityOrigin.GivenIssuer } or { Next.Origin: AuthorityOrigin.GivenIssuer } })
        {
            // Whoever deletes an issuer by accident must not get another root for it: what is kept goes on.
            anchors = stored.Anchors;
            return stored.Whole;
        }

        if (given is { IsThere: true })
        {
            var issuer = given.Load();
            anchors = issuer.Anchors;
            return Resume(stored, issuer.Authority);
        }

        return Resume(stored, options.RootCertificate is { } certificate ? GivenRoot(stored, certificate, options.RootKey!) : OwnRoot(stored));
    }

    /// <summary>What is kept, and nothing else: for changes that whoever's turn it is not may make.</summary>
    /// <exception cref="InvalidDataException">It can't be used, or there is none.</exception>
    public static TrustState Kept(IStateStore data, out IReadOnlyList<Org.BouncyCastle.X509.X509Certificate> anchors)
    {
        var stored = AuthorityStore.Read(data) ?? throw new InvalidDataException($"'{data.File(AuthorityStore.FileName)}' is missing. It holds the keys of the mesh's authority: restore it from a copy.");
        anchors = stored.Anchors;
        return stored.Whole ?? throw new InvalidDataException($"'{data.File(AuthorityStore.FileName)}' lacks a key that signs. Restore it from a copy.");
    }

    /// <summary>Files of the earlier layout hold the key of a root that is trusted no more: it must not lie about.</summary>
    public static void ForgetEarlierRoot(IStateStore data)
    {
        data.Delete(EarlierKey);
        data.Delete(EarlierCertificate);
    }

    public static IssuerFiles? Files(MeshControlPlaneOptions options, TimeProvider time) =>
        options.Issuer is { } folder ? IssuerFiles.InFolder(folder, TrustDomain.Parse(options.TrustDomain), time)
        : options.IssuerCertificate is { } certificate ? new IssuerFiles(certificate, options.IssuerKey!, options.RootCertificate!, TrustDomain.Parse(options.TrustDomain), time)
        : null;

    private TrustState Resume(StoredTrust? stored, SigningAuthority wanted)
    {
        var now = time.GetUtcNow();
        if (stored is null)
        {
            return TrustState.Stable(wanted, now);
        }

        var signing = stored.Signing.RootId == wanted.RootId ? wanted : stored.Signing.Usable;
        var next = stored.Next?.RootId == wanted.RootId ? wanted : stored.Next?.Usable;
        if (signing is not null)
        {
            var phase = stored.Phase == RotationPhase.Distributing && next is null ? RotationPhase.Stable : stored.Phase;
            return new TrustState(phase, stored.Since, signing, next, stored.Previous).Adopt(wanted, now);
        }

        Log.OldKeyIsGone(logger, stored.Signing.RootId, wanted.RootId);
        return new TrustState(RotationPhase.Issuing, now, wanted, null, [.. stored.Previous, stored.Signing.Root]);
    }

    private SigningAuthority GivenRoot(StoredTrust? stored, string certificateFile, string keyFile)
    {
        var root = SigningPair.Read(Pems.ReadText(certificateFile), Pems.ReadText(keyFile), certificateFile, keyFile, time.GetUtcNow());
        if (!Certificates.IsSelfSigned(root.Certificate))
        {
            throw new InvalidDataException(
                $"The certificate in '{certificateFile}' is signed by '{root.Certificate.IssuerDN}', not by itself: workloads take roots alone. Give a root with --root-cert and --root-key, or this one as --issuer-cert and --issuer-key with its root as --root-cert.");
        }

        var id = Certificates.Id(root.Certificate);
        var known = stored?.Signing.RootId == id ? stored.Signing : stored?.Next?.RootId == id ? stored.Next : null;
        return known is { Issuer: { } issuer, Intermediates.Count: > 0 } && Certificates.NotAfter(issuer.Certificate) > time.GetUtcNow()
            ? new SigningAuthority(AuthorityOrigin.GivenRoot, root.Certificate, root.Key, issuer, known.Intermediates)
            : maker.WithNewIssuer(AuthorityOrigin.GivenRoot, root);
    }

    private SigningAuthority OwnRoot(StoredTrust? stored)
    {
        if (stored is not null)
        {
            return stored is { Next: { Origin: AuthorityOrigin.Own, Usable: { } next } } ? next
                : stored is { Signing: { Origin: AuthorityOrigin.Own, Usable: { } signing } } ? signing
                : maker.NewRoot();
        }

        // A key alone is a first start that was cut off, unless a bundle shows that workloads trust its certificate already.
        if (!data.Exists(EarlierCertificate) && !(data.Exists(EarlierKey) && data.Exists(TrustBundleStore.FileName)))
        {
            return maker.NewRoot();
        }

        var (certificateFile, keyFile) = (data.File(EarlierCertificate), data.File(EarlierKey));
        return maker.WithNewIssuer(
            AuthorityOrigin.Own, SigningPair.Read(Pems.ReadText(certificateFile), Pems.ReadText(keyFile), certificateFile, keyFile, time.GetUtcNow()));
    }

    private static partial class Log
    {
        [LoggerMessage(4640, LogLevel.Warning, "Root {Old} was replaced by {New} while the control plane was stopped, and the key that signed for it is not kept here: {New} signs at once. Workloads that were not told of it refuse new certificates until they have renewed their own", EventName = nameof(OldKeyIsGone))]
        public static partial void OldKeyIsGone(ILogger logger, string old, string @new);
    }
}
