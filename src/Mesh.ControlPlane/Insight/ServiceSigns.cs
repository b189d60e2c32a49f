using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>Addresses behind a Service.</summary>
/// <param name="Ejected">That some caller leaves out now.</param>
internal sealed record EndpointTotals(int Total, int Ready, int Meshed, int Ejected)
{
    public static readonly EndpointTotals None = new(0, 0, 0, 0);

    /// <param name="behind">What calls to the Service reach, as <see cref="BehindService"/> says.</param>
    public static EndpointTotals Of(IEnumerable<ServiceEndpoint> behind, IEnumerable<BalancerState> balancers)
    {
        var all = behind.GroupBy(e => e.HostPort, StringComparer.Ordinal).Select(g => g.First()).ToList();
        var ejected = balancers.Where(b => b.State == "ejected").Select(b => b.Endpoint).ToHashSet(StringComparer.Ordinal);
        return new EndpointTotals(all.Count, all.Count(e => e.Ready), all.Count(e => e.Meshed), all.Count(e => ejected.Contains(e.HostPort)));
    }
}

/// <summary>A client of the control plane behind a Service that is not up to date.</summary>
internal sealed record LaggingClient(string Node, string? Refused, double StaleSeconds, DateTimeOffset? Since);

/// <summary>A certificate that should have been renewed.</summary>
/// <param name="Since">When three quarters of its life were over.</param>
internal sealed record LateCertificate(string Node, DateTimeOffset NotAfter, DateTimeOffset Since);

/// <summary>All that is known of a Service when its health is judged.</summary>
/// <param name="Before">The hour before the window.</param>
internal sealed record ServiceSigns(ServiceName Name, GoldenNumbers Now, GoldenNumbers Before, EndpointTotals Endpoints)
{
    /// <summary>It is about a time that is past: of endpoints, clients and faults of then nothing is known.</summary>
    public bool IsPast { get; init; }

    /// <summary>How often callers left an endpoint out, in the window. Of a time past; of now <see cref="Balancers"/> say more.</summary>
    public long Ejections { get; init; }

    /// <summary>Its addresses are not the mesh's to know: an external host.</summary>
    public bool IsExternal { get; init; }

    /// <summary>Requests that access rules denied, in the window.</summary>
    public long Denied { get; init; }

    /// <summary>Requests that limits turned away, in the window.</summary>
    public long Shed { get; init; }

    public IReadOnlyList<BalancerState> Balancers { get; init; } = [];

    public IReadOnlyList<LaggingClient> Lagging { get; init; } = [];

    public IReadOnlyList<LateCertificate> LateCertificates { get; init; } = [];

    public IReadOnlyList<FaultItem> Faults { get; init; } = [];

    /// <summary>Newest first.</summary>
    public IReadOnlyList<MeshChange> Changes { get; init; } = [];
}
