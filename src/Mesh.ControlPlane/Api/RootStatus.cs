using System.Globalization;
using Mesh.ControlPlane.CertificateAuthority;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.Api;

/// <summary>A root or issuer, as the API shows it.</summary>
/// <param name="Role"><c>signing</c>, <c>next</c>, <c>previous</c> or <c>trusted</c>; of an issuer null.</param>
internal sealed record AuthorityEntry(string Id, string? Role, string Subject, string Serial, string Key, DateTimeOffset NotBefore, DateTimeOffset NotAfter);

/// <summary>Who signs, who is trusted, and how far a change of the root has come.</summary>
/// <param name="Phase"><c>stable</c>, <c>distributing</c>, <c>issuing</c> or <c>retiring</c>.</param>
/// <param name="Origin"><c>own</c>, <c>givenroot</c> or <c>givenissuer</c>.</param>
/// <param name="Waiting">Whom the phase waits for.</param>
/// <param name="Next">What happens next, for people.</param>
/// <param name="Workloads">How many workloads have a certificate that is not over.</param>
/// <param name="Problem">Why the operator's issuer files are not in force; null when they are.</param>
internal sealed record RootStatus(
    string Phase, DateTimeOffset Since, string Origin, IReadOnlyList<AuthorityEntry> Roots, AuthorityEntry Issuer, DateTimeOffset? IssuerRenewsAt, IReadOnlyList<RotationWait> Waiting,
    string Next, int Workloads, string? Problem)
{
    public static RootStatus Of(AuthorityKeeper keeper, TrustBundleStore trust, IssuanceLog log, TimeProvider time)
    {
        var state = keeper.State;
        var waits = keeper.Waits;
        return new RootStatus(
            Lower(state.Phase), state.Since, Lower(state.Signing.Origin), [.. trust.Current.Roots.Select(r => Entry(r, Role(r, state)))], Entry(state.Signing.Issuer.Certificate, null),
            state.Signing.RenewIssuerAt, waits, Coming(state, waits, time.GetUtcNow()), log.Live.Select(l => (l.Identity, l.Node)).Distinct().Count(), keeper.FileProblem);
    }

    private static string Coming(TrustState state, IReadOnlyList<RotationWait> waits, DateTimeOffset now)
    {
        var what = state.Phase switch
        {
            RotationPhase.Distributing => $"root {state.Next!.RootId} signs as soon as every workload trusts it",
            RotationPhase.Issuing => $"root {string.Join(", ", state.Previous.Select(Certificates.Id))} is dropped as soon as no certificate that is not over is under it",
            RotationPhase.Retiring => "the change is over as soon as every connected workload has dropped the old root",
            _ => state.Signing.Origin == AuthorityOrigin.Own
                ? string.Create(CultureInfo.InvariantCulture, $"a new root is made by itself at {Certificates.NotAfter(state.Signing.Root) - ((Certificates.NotAfter(state.Signing.Root) - Certificates.NotBefore(state.Signing.Root)) / 3):u}")
                : "the root changes when the operator gives another",
        };
        return waits.Select(w => w.Until).OfType<DateTimeOffset>().DefaultIfEmpty().Max() is var last && last > now && waits.All(w => w.Until is not null)
            ? string.Create(CultureInfo.InvariantCulture, $"{what}, at {last:u} at the latest")
            : what;
    }

    private static string Role(X509Certificate root, TrustState state)
    {
        var id = Certificates.Id(root);
        return id == state.Signing.RootId ? "signing" : id == state.Next?.RootId ? "next" : state.Previous.Any(p => Certificates.Id(p) == id) ? "previous" : "trusted";
    }

    private static AuthorityEntry Entry(X509Certificate certificate, string? role) => new(
        Certificates.Id(certificate), role, certificate.SubjectDN.ToString(), Certificates.Serial(certificate), Certificates.KeyKind(certificate.GetPublicKey()),
        Certificates.NotBefore(certificate), Certificates.NotAfter(certificate));

    private static string Lower(Enum value) => value.ToString().ToLowerInvariant();
}
