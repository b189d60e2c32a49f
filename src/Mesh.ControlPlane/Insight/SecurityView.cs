using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tap;
using Mesh.ControlPlane.Telemetry;
using Mesh.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>Who is encrypted, who is not, and whose certificates end when (docs/api.md).</summary>
internal sealed record SecurityView(
    InsightBasis Basis, IReadOnlyList<SecuredPair> Mtls, IReadOnlyList<PlainEndpoint> Unmeshed, IReadOnlyList<HeldCertificate> Certificates, IReadOnlyList<TrustedRoot> Roots,
    IReadOnlyList<DenialItem> Denials, DateTimeOffset DenialsReachBackTo) : InsightDocument(Basis)
{
    /// <summary>Which identities stood behind a name, and which certificates were held, is known of now alone.</summary>
    public static readonly IReadOnlyList<string> OnlyOfNow = ["mtls.source_identity", "mtls.destination_identity", "unmeshed", "certificates", "roots"];
}

/// <param name="SourceIdentity">Null: it has none; or it is of a time past.</param>
/// <param name="DestinationIdentity">Of the endpoints behind it, with commas between; null: none has one; or it is of a time past.</param>
internal sealed record SecuredPair(
    string Source, string SourceNamespace, string Destination, string DestinationNamespace, long Requests, double MtlsShare, string? SourceIdentity, string? DestinationIdentity);

internal sealed record PlainEndpoint(string Namespace, string Service, string Address, string Reason);

/// <param name="LifeUsed">0–1, more when it is over.</param>
internal sealed record HeldCertificate(string Identity, string Node, DateTimeOffset NotBefore, DateTimeOffset NotAfter, double LifeUsed, string Serial, string? Issuer);

/// <param name="Current">It signs.</param>
internal sealed record TrustedRoot(string Subject, DateTimeOffset NotAfter, bool Current);

/// <summary>Reads how safe the mesh is. Thread-safe.</summary>
internal sealed class SecurityReader(InsightReader insight, IGoldenQueries golden, IssuanceLog issued, AuthorityKeeper keeper, TrustBundleStore trust, DenialAnswers denials, MeshControlPlaneOptions options)
{
    /// <summary>GET /denials has all.</summary>
    private const int MostDenials = 500;

    public async Task<SecurityView> ReadAsync(InsightTime asked, CancellationToken cancellationToken)
    {
        var now = asked.Now;
        var pairs = await golden.ReadAsync(new GoldenQuery(GoldenBy.Pair, asked.From, asked.To), cancellationToken);
        var denied = await denials.BetweenAsync(asked.From, asked.To, cancellationToken);
        var served = insight.Served;
        var signing = keeper.State.Signing.RootId;
        return new SecurityView(
            InsightBasis.Of(asked, pairs, SecurityView.OnlyOfNow) with
            {
                Partial = [.. pairs.Partial.Concat(denied.Partial.Select(p => new MissingReplica(p.Replica, p.Why))).DistinctBy(p => p.Replica)],
            },
            [.. pairs.Items.Where(p => p.Numbers.Requests > 0 || p.Numbers.Connections > 0 || p.Numbers.OpenConnections > 0).Select(p => asked.IsPast ? PastPair(p) : Pair(p, served))],
            asked.IsPast ? [] : [.. UnmeshedEndpoints.Of(served.Model, options.TrustDomain)],
            asked.IsPast ? [] : [.. from workload in issued.Live.GroupBy(l => (l.Identity, l.Node))
                let leaf = Issuance.Newest(workload)
                orderby leaf.NotAfter, leaf.Identity, leaf.Node
                select new HeldCertificate(leaf.Identity, leaf.Node, leaf.NotBefore, leaf.NotAfter, Math.Round((now - leaf.NotBefore) / (leaf.NotAfter - leaf.NotBefore), 4), leaf.Serial, leaf.Issuer)],
            asked.IsPast ? [] : [.. trust.Current.Roots.Select(r => new TrustedRoot(r.SubjectDN.ToString(), Certificates.NotAfter(r), Certificates.Id(r) == signing))],
            [.. denied.Items.Take(MostDenials)], denied.ReachesBackTo);
    }

    private static SecuredPair PastPair(GoldenItem item) => new(
        item.Key.Source ?? string.Empty, item.Key.SourceNamespace ?? string.Empty, item.Key.Destination ?? string.Empty, item.Key.DestinationNamespace ?? string.Empty,
        item.Numbers.Requests, item.Numbers.MtlsShare, null, null);

    private SecuredPair Pair(GoldenItem item, ServedBy served)
    {
        var key = item.Key;
        var (source, sourceNs, destination, destinationNs) = (key.Source ?? string.Empty, key.SourceNamespace ?? string.Empty, key.Destination ?? string.Empty, key.DestinationNamespace ?? string.Empty);
        var service = served.Find(destinationNs, destination);
        var accounts = service is { } found && served.Model.Services.TryGetValue(found, out var known)
            ? known.Endpoints.Select(e => e.ServiceAccount).OfType<string>().Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList() : [];
        return new SecuredPair(
            source, sourceNs, destination, destinationNs, item.Numbers.Requests, item.Numbers.MtlsShare,
            sourceNs.Length == 0 && source is MeshTags.Unmeshed or "" ? null : Identity(sourceNs, source),
            accounts.Count == 0 ? null : string.Join(", ", accounts.Select(a => Identity(destinationNs, a))));
    }

    private string Identity(string ns, string account) => $"spiffe://{options.TrustDomain}/ns/{ns}/sa/{account}";
}

/// <summary>Endpoints that are reached in plaintext, and why. Pure.</summary>
internal static class UnmeshedEndpoints
{
    public static IEnumerable<PlainEndpoint> Of(MeshModel model, string trustDomain) =>
        from service in model.Services.Values
        orderby service.Name.Namespace, service.Name.Name
        from endpoint in service.Endpoints.DistinctBy(e => e.HostPort)
        where !endpoint.Meshed
        select new PlainEndpoint(service.Name.Namespace, service.Name.Name, endpoint.HostPort, Why(service, endpoint, trustDomain));

    public static string Why(Service service, ServiceEndpoint endpoint, string trustDomain) => endpoint.ServiceAccount is { } account
        ? $"No workload with the identity spiffe://{trustDomain}/ns/{service.Name.Namespace}/sa/{account} has served {endpoint.HostPort} yet: start it with UseMesh() and a join token, or the sidecar."
        : "Nothing says who runs there: set the annotation meshlib.io/service-account on the EndpointSlice or the Service.";
}
