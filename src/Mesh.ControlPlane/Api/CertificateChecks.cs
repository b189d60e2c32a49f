using System.Globalization;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Xds;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.Api;

/// <summary>What is looked at of certificates: those of the authority, the control plane's own, and every workload's.</summary>
internal sealed class CertificateChecks(
    Issuer issuer, ServingCertificate serving, AuthorityKeeper keeper, IssuanceLog log, ClientRegistry clients, TrustBundleStore trust, LeafPolicyStore leafPolicy, TimeProvider time)
{
    private const string Category = "certificates";
    private static readonly TimeSpan Early = TimeSpan.FromDays(60);

    public IEnumerable<Check> Run()
    {
        var now = time.GetUtcNow();
        foreach (var check in Authority(now).Concat(Rotation(now)).Concat(Workloads(now)))
        {
            yield return check;
        }

        _ = serving.Current;
        yield return Check.Ok("serving-certificate", Category, "the control plane's own certificate is valid",
            string.Create(CultureInfo.InvariantCulture, $"{(serving.NotAfter - now).TotalHours:0.0} h left"));
    }

    private IEnumerable<Check> Authority(DateTimeOffset now)
    {
        const string RootDescription = "the root is valid for long enough";
        const string IssuerDescription = "the issuer is valid for long enough";
        var signing = issuer.Current;
        var own = signing.Origin == AuthorityOrigin.Own;
        // An own root is changed by itself when a third is left: only what comes later than that is odd.
        yield return EndsSoon(signing.Root, now) && !(own && keeper.State.Phase != RotationPhase.Stable)
            ? Warn("root-certificate", RootDescription, signing.Root, now, own ? "It changes by itself; see the control plane's log for why it has not yet, and 'mesh identity rotate --root'."
                : signing.Origin == AuthorityOrigin.GivenRoot ? "Restart the control plane with a new root in --root-cert and --root-key: the old one stays trusted as long as it is needed."
                : "Put an issuer of a new root, and that root, into the issuer's files.")
            : Check.Ok("root-certificate", Category, RootDescription, Valid(signing.Root));
        yield return signing.RenewIssuerAt is null && !signing.RootSignsLeaves && EndsSoon(signing.Issuer.Certificate, now)
            ? Warn("issuer-certificate", IssuerDescription, signing.Issuer.Certificate, now, "Put a new issuer into the issuer's files: they are read again within seconds.")
            : Check.Ok("issuer-certificate", Category, IssuerDescription, signing.RootSignsLeaves ? "the root signs leaves itself: its path length is 0" : Valid(signing.Issuer.Certificate));
        if (keeper.FileProblem is { } problem)
        {
            yield return Check.Error("issuer-files", Category, "the issuer's files can be used", problem, "Correct the files; the last good issuer goes on signing, and they are read again within seconds.");
        }
    }

    private IEnumerable<Check> Rotation(DateTimeOffset now)
    {
        const string Description = "a change of the root goes on";
        var state = keeper.State;
        var waits = keeper.Waits;
        var detail = state.Phase == RotationPhase.Stable
            ? "none is under way"
            : string.Create(CultureInfo.InvariantCulture, $"{state.Phase.ToString().ToLowerInvariant()} since {state.Since:u}, waits for {waits.Count} workloads");
        // A leaf's life and some more is what each phase may take.
        yield return state.Phase != RotationPhase.Stable && now - state.Since > (leafPolicy.LeafLife * 1.5) + TimeSpan.FromHours(1)
            ? Check.Warning("root-rotation", Category, Description, $"{detail}: {string.Join(", ", waits.Take(5).Select(w => w.Node))}",
                "These workloads are connected and do not take the roots: look at their logs and update or restart them. 'mesh identity rotate --root --wait' shows all.")
            : Check.Ok("root-rotation", Category, Description, detail);
    }

    private IEnumerable<Check> Workloads(DateTimeOffset now)
    {
        const string Description = "every connected workload renews its certificate in time";
        var workloads = IdentityList.Of(log, clients, trust, time);
        var late = workloads.Where(w => w.Connected && (w.NotAfter - now) < (w.NotAfter - w.IssuedAt) / 3).ToList();
        foreach (var workload in late)
        {
            yield return Check.Warning("workload-certificate", Category, Description,
                string.Create(CultureInfo.InvariantCulture, $"{workload.Node} ({workload.Identity}): {workload.HoursLeft:0.0} h left"),
                "It should have renewed at half its life. See the workload's log, and the control plane's for refusals.");
        }

        if (late.Count == 0)
        {
            yield return Check.Ok("workload-certificate", Category, Description,
                workloads.Count == 0 ? "no workload has a certificate"
                    : string.Create(CultureInfo.InvariantCulture, $"{workloads.Count} workloads, {workloads.Min(w => w.HoursLeft):0.0} h left at least"));
        }
    }

    private static bool EndsSoon(X509Certificate certificate, DateTimeOffset now)
    {
        var (start, end) = (Certificates.NotBefore(certificate), Certificates.NotAfter(certificate));
        return end - now < (Early < (end - start) / 3 ? Early : (end - start) / 3);
    }

    private static Check Warn(string id, string description, X509Certificate certificate, DateTimeOffset now, string fix) =>
        now >= Certificates.NotAfter(certificate)
            ? Check.Error(id, Category, description, $"it is over: {Valid(certificate)}", fix)
            : Check.Warning(id, Category, description, Valid(certificate), fix);

    private static string Valid(X509Certificate certificate) => string.Create(CultureInfo.InvariantCulture, $"valid to {Certificates.NotAfter(certificate):u}");
}
