using System.Collections.Immutable;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Model;

/// <summary>What differs between two models: which Services' endpoints, at which addresses and of whom, or everything. Immutable.</summary>
/// <remarks>Endpoints come and go all the time, and few want to know of each; routes, policies and Services change seldom: then all is looked at.</remarks>
internal sealed class ModelChange
{
    private readonly HashSet<ServiceName> _services = [];
    private readonly HashSet<string> _addresses = new(StringComparer.Ordinal);
    private readonly HashSet<(string Namespace, string Account)> _accounts = [];

    private ModelChange(bool isEverything) => IsEverything = isEverything;

    public static ModelChange Everything { get; } = new(isEverything: true);

    public bool IsEverything { get; }

    /// <summary>What is not known to be the same is taken for changed.</summary>
    public static ModelChange Between(MeshModel before, MeshModel after)
    {
        if (before.Services.Count != after.Services.Count
            || before with { Services = after.Services, Workloads = after.Workloads, Routes = after.Routes, ConnectionRoutes = after.ConnectionRoutes, Policies = after.Policies, RouteReports = after.RouteReports, Problems = after.Problems } != after
            || !Same(before.Routes, after.Routes, Same) || !Same(before.ConnectionRoutes, after.ConnectionRoutes, Same) || !Same(before.Policies, after.Policies, Same))
        {
            return Everything;
        }

        var change = new ModelChange(isEverything: false);
        foreach (var service in after.Services.Values)
        {
            if (!before.Services.TryGetValue(service.Name, out var old) || !SameButEndpoints(old, service))
            {
                return Everything;
            }

            if (!Same(old.Endpoints, service.Endpoints) || !Same(old.ExternalAddresses, service.ExternalAddresses))
            {
                change.Add(old);
                change.Add(service);
            }
        }

        change.AddWorkloads(before.Workloads, after.Workloads);
        change.AddNeighbours(after.Services.Values);
        return change;
    }

    /// <param name="basis">Null: not known.</param>
    public bool Touches(AnswerBasis? basis)
    {
        if (IsEverything || basis is null)
        {
            return true;
        }

        // Asked of everything that every stream holds: no closures.
        foreach (var service in basis.Services)
        {
            if (_services.Contains(service))
            {
                return true;
            }
        }

        foreach (var address in basis.Addresses)
        {
            if (_addresses.Contains(address))
            {
                return true;
            }
        }

        return basis.Account is { } account && _accounts.Contains(account);
    }

    private void Add(Service service)
    {
        _services.Add(service.Name);
        _addresses.UnionWith(service.ClusterIps);
        foreach (var endpoint in service.Endpoints)
        {
            Add(service.Name.Namespace, endpoint.Address, endpoint.ServiceAccount);
        }
    }

    private void Add(string ns, string address, string? account)
    {
        _addresses.Add(address);
        if (account is not null)
        {
            _accounts.Add((ns, account));
        }
    }

    /// <summary>What stands behind several Services keeps to all of them, so what is said of it depends on each.</summary>
    private void AddNeighbours(IEnumerable<Service> services)
    {
        if (_addresses.Count > 0)
        {
            foreach (var service in services.Where(s => !_services.Contains(s.Name) && s.Endpoints.Any(e => _addresses.Contains(e.Address))).ToList())
            {
                Add(service);
            }
        }
    }

    /// <summary>Both stand in the same order: one walk finds what only one of them has.</summary>
    private void AddWorkloads(ImmutableArray<Workload> before, ImmutableArray<Workload> after)
    {
        var (i, j) = (0, 0);
        while (i < before.Length || j < after.Length)
        {
            var order = i == before.Length ? 1 : j == after.Length ? -1 : Workload.Order(before[i], after[j]);
            if (order == 0 && Same(before[i], after[j]))
            {
                (i, j) = (i + 1, j + 1);
                continue;
            }

            if (order <= 0)
            {
                Add(before[i].Namespace, before[i].Address, before[i].ServiceAccount);
                i++;
            }

            if (order >= 0)
            {
                Add(after[j].Namespace, after[j].Address, after[j].ServiceAccount);
                j++;
            }
        }
    }

    // Records compare their arrays as references: each array is compared here, and with it taken over, a field that is new one day counts as changed until it is named here.
    private static bool SameButEndpoints(Service a, Service b) => ReferenceEquals(a, b)
        || (a with { Ports = b.Ports, ClusterIps = b.ClusterIps, Endpoints = b.Endpoints, ExternalAddresses = b.ExternalAddresses } == b && Same(a.Ports, b.Ports) && Same(a.ClusterIps, b.ClusterIps));

    private static bool Same(Workload a, Workload b) => ReferenceEquals(a, b)
        || (a with { DeclaredPorts = b.DeclaredPorts, Probes = b.Probes } == b && Same(a.DeclaredPorts, b.DeclaredPorts) && Same(a.Probes, b.Probes));

    private static bool Same(TrafficRoute a, TrafficRoute b) => ReferenceEquals(a, b)
        || (a with { Parents = b.Parents, Rules = b.Rules } == b && Same(a.Parents, b.Parents) && Same(a.Rules, b.Rules, Same));

    private static bool Same(RouteRule a, RouteRule b) => ReferenceEquals(a, b)
        || (a with { Backends = b.Backends, Filters = b.Filters } == b && Same(a.Backends, b.Backends)
            && a.Filters with { Mirrors = b.Filters.Mirrors } == b.Filters && Same(a.Filters.Mirrors, b.Filters.Mirrors));

    private static bool Same(ConnectionRoute a, ConnectionRoute b) => ReferenceEquals(a, b)
        || (a with { Parents = b.Parents, Backends = b.Backends } == b && Same(a.Parents, b.Parents) && Same(a.Backends, b.Backends));

    private static bool Same(TrafficPolicy a, TrafficPolicy b) => ReferenceEquals(a, b)
        || (a with { Attachments = b.Attachments } == b && Same(a.Attachments, b.Attachments));

    private static bool Same<T>(ImmutableArray<T> a, ImmutableArray<T> b)
        where T : IEquatable<T> => a == b || a.AsSpan().SequenceEqual(b.AsSpan());

    private static bool Same<T>(ImmutableArray<T> a, ImmutableArray<T> b, Func<T, T, bool> same) =>
        a == b || (a.Length == b.Length && Enumerable.Range(0, a.Length).All(i => same(a[i], b[i])));
}
