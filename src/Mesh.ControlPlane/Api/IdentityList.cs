using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Xds;

namespace Mesh.ControlPlane.Api;

/// <summary>A workload and its newest certificate that is not over.</summary>
/// <param name="Issuer">Subject of the certificate that signed it.</param>
/// <param name="Root">Id of the root it is under.</param>
/// <param name="Attested">How the workload showed who it is.</param>
/// <param name="Certificates">How many of its certificates are not over: renewed ones stay good until their end.</param>
internal sealed record IdentityEntry(
    string Identity, string Node, string Serial, DateTimeOffset IssuedAt, DateTimeOffset NotBefore, DateTimeOffset NotAfter, double HoursLeft, string? Key, string? Issuer, string? Root,
    string? Attested, bool Connected, bool Revoked, int Certificates);

/// <summary>Lists who has a certificate.</summary>
internal static class IdentityList
{
    public static IReadOnlyList<IdentityEntry> Of(IssuanceLog log, ClientRegistry clients, TrustBundleStore trust, TimeProvider time)
    {
        var now = time.GetUtcNow();
        var connected = clients.Holders.Select(h => (h.Identity.ToString(), h.Node)).ToHashSet();
        var snapshot = trust.Current;
        return
        [
            .. from leaf in log.Live
               group leaf by (leaf.Identity, leaf.Node) into workload
               orderby workload.Key.Identity, workload.Key.Node
               let newest = Issuance.Newest(workload)
               select new IdentityEntry(
                   newest.Identity, newest.Node, newest.Serial, newest.IssuedAt, newest.NotBefore, newest.NotAfter, Math.Round((newest.NotAfter - now).TotalHours, 2),
                   newest.Key, newest.Issuer, newest.Root, newest.Attested, connected.Contains(workload.Key),
                   Mesh.Spiffe.SpiffeId.TryParse(newest.Identity, out var id) && snapshot.RevocationOf(id, newest.Serial) is not null, workload.Count()),
        ];
    }
}
