using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Xds;

namespace Mesh.ControlPlane.Insight;

/// <summary>What clients and certificates say of the Services behind which they stand.</summary>
internal sealed class ClientSigns
{
    /// <summary>A workload renews at half the life of its certificate; past this it has failed to for long.</summary>
    public const double LateShare = 0.75;

    private readonly ILookup<ServiceName, LaggingClient> _lagging;
    private readonly ILookup<ServiceName, LateCertificate> _late;

    public ClientSigns(ServedBy served, IReadOnlyList<AdsClient> clients, IReadOnlyList<Issuance> live, DateTimeOffset now)
    {
        var identified = clients.Where(c => c.Node.Identity is { Namespace: not null, ServiceAccount: not null }).ToList();
        _lagging = (from client in identified
                    let refused = client.Types.Any(t => t.Status == "nacked") ? client.LastNack : null
                    where refused is not null || client.StaleSeconds >= HealthRules.Stale.TotalSeconds
                    from service in served.AllOf(client.Node.Identity!.Namespace!, client.Node.Identity.ServiceAccount!)
                    select (service, client: new LaggingClient(client.Node.Id, refused, client.StaleSeconds, now - TimeSpan.FromSeconds(client.StaleSeconds))))
            .ToLookup(x => x.service, x => x.client);
        var connected = identified.Select(c => (c.Node.Identity!.ToString(), c.Node.Id)).ToHashSet();
        _late = (from workload in live.GroupBy(l => (l.Identity, l.Node))
                 where connected.Contains(workload.Key)
                 let newest = Issuance.Newest(workload)
                 let due = newest.NotBefore + ((newest.NotAfter - newest.NotBefore) * LateShare)
                 where due <= now && Spiffe.SpiffeId.TryParse(newest.Identity, out _)
                 let id = Spiffe.SpiffeId.Parse(newest.Identity)
                 where id is { Namespace: not null, ServiceAccount: not null }
                 from service in served.AllOf(id.Namespace!, id.ServiceAccount!)
                 select (service, certificate: new LateCertificate(newest.Node, newest.NotAfter, due)))
            .ToLookup(x => x.service, x => x.certificate);
    }

    public IReadOnlyList<LaggingClient> Lagging(ServiceName service) => [.. _lagging[service]];

    public IReadOnlyList<LateCertificate> Late(ServiceName service) => [.. _late[service]];
}
