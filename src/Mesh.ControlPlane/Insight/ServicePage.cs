using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>All of one Service (docs/api.md).</summary>
/// <param name="Inbound">By pair: who calls it.</param>
/// <param name="Outbound">By pair: whom the workloads behind it call.</param>
/// <param name="Routes">By route, of callers and of the called side.</param>
/// <param name="Versions">Where its routes lead, with the numbers of each backend.</param>
internal sealed record ServicePage(
    InsightBasis Basis, string Namespace, string Name, HealthLevel Level, IReadOnlyList<Reason> Reasons,
    IReadOnlyList<PagePort> Ports, GoldenNumbers Golden, Baseline? Baseline, IReadOnlyList<GoldenDocument> Inbound, IReadOnlyList<GoldenDocument> Outbound, IReadOnlyList<GoldenDocument> Routes,
    IReadOnlyList<PageEndpoint> Endpoints, IReadOnlyList<PageVersion> Versions, IReadOnlyList<PagePolicy> Policies, IReadOnlyList<DecisionRow> Decisions, IReadOnlyList<FaultItem> Faults, IReadOnlyList<MeshChange> Changes) : InsightDocument(Basis)
{
    /// <summary>Of endpoints of a time past their addresses and numbers are kept, of versions their numbers.</summary>
    public static readonly IReadOnlyList<string> OnlyOfNow =
    [
        "ports", "policies", "faults", "endpoints.workload", "endpoints.identity", "endpoints.zone", "endpoints.version", "endpoints.weight", "endpoints.meshed", "endpoints.ready", "endpoints.balancers", "versions.weight",
    ];
}

/// <param name="Protocol"><c>HTTP</c>, <c>TLS</c> or <c>TCP</c>.</param>
internal sealed record PagePort(int Port, string Name, string Protocol);

/// <param name="Workload">Its Pod, or its service account; null when nothing says who runs there.</param>
/// <param name="Version">Label <c>version</c> of its Pod or Service; null without one.</param>
/// <param name="Weight">1: weights of single endpoints are the balancers' own; null of a time past.</param>
/// <param name="Meshed">Null of a time past.</param>
/// <param name="Ready">Null of a time past.</param>
internal sealed record PageEndpoint(
    string Address, string? Workload, string? Identity, string? Zone, string? Version, int? Weight, bool? Meshed, bool? Ready, GoldenNumbers Golden, IReadOnlyList<PageBalancer> Balancers);

/// <summary>How one caller's balancer sees the endpoint.</summary>
internal sealed record PageBalancer(
    string Source, string SourceNamespace, string Instance, string State, long Active, double EwmaMs, double Weight, DateTimeOffset? EjectedUntil, string? Why, DateTimeOffset At);

/// <param name="Weight">In its routes; 0: none names it now; null of a time past.</param>
internal sealed record PageVersion(string Backend, string BackendNamespace, int? Weight, GoldenNumbers Golden);

/// <param name="Settings">What it says, for people.</param>
internal sealed record PagePolicy(string Kind, string Namespace, string Name, bool Accepted, string Settings);

/// <summary>What the mesh did on its own account, as <c>/decisions</c> writes it.</summary>
internal sealed record DecisionRow(string Workload, string Namespace, string Side, string Decision, string Reason, string Service, string ServiceNamespace, long Count, double Rate)
{
    public static DecisionRow Of(DecisionCount count, TimeSpan over) => new(
        count.Workload, count.Namespace, count.Side, count.Decision, count.Reason, count.Service, count.ServiceNamespace, count.Count, Math.Round(count.Count / Math.Max(1, over.TotalSeconds), 3));
}
