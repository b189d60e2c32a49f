using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>Reads all of one Service. Thread-safe.</summary>
internal sealed class ServicePageReader(InsightReader insight, IGoldenQueries golden, MeshControlPlaneOptions options)
{
    private const int MostChanges = 50;

    /// <returns>Null when there is no such Service, and nobody called one of that name.</returns>
    public async Task<ServicePage?> ReadAsync(ServiceName name, InsightTime asked, CancellationToken cancellationToken)
    {
        var served = insight.Served;
        served.Model.Services.TryGetValue(name, out var service);
        var (judged, answer) = await insight.JudgeAsync(asked, name, cancellationToken);
        var (signs, level, reasons) = judged[0];
        if (service is null && signs.Now.Requests == 0 && signs.Before.Requests == 0)
        {
            return null;
        }

        GoldenQuery To(GoldenBy by, GoldenView view = GoldenView.Auto) =>
            new(by, asked.From, asked.To) { View = view, Destination = name.Name, DestinationNamespace = name.Namespace };

        var accounts = (service?.Endpoints ?? []).Select(e => e.ServiceAccount).OfType<string>().Append(name.Name).Distinct(StringComparer.Ordinal).ToList();
        var inbound = await golden.ReadAsync(To(GoldenBy.Pair), cancellationToken);
        var outbound = new List<GoldenItem>();
        foreach (var account in accounts.Where(a => served.Find(name.Namespace, a) == name))
        {
            outbound.AddRange((await golden.ReadAsync(new GoldenQuery(GoldenBy.Pair, asked.From, asked.To) { Source = account, SourceNamespace = name.Namespace, View = GoldenView.Client }, cancellationToken)).Items);
        }

        var asClient = await golden.ReadAsync(To(GoldenBy.Route, GoldenView.Client), cancellationToken);
        var asServer = await golden.ReadAsync(To(GoldenBy.Route, GoldenView.Server), cancellationToken);
        var byEndpoint = await golden.ReadAsync(new GoldenQuery(GoldenBy.Endpoint, asked.From, asked.To), cancellationToken);
        var byBackend = await golden.ReadAsync(To(GoldenBy.Backend), cancellationToken);
        var decisions = (await golden.DecisionsAsync(asked.From, asked.To, cancellationToken)).Items;
        return new ServicePage(
            InsightBasis.Of(asked, answer, ServicePage.OnlyOfNow), name.Namespace, name.Name, level, reasons,
            [.. (asked.IsPast || service is null ? [] : service.Ports).Select(p => new PagePort(p.Port, p.Name, PortContent.Of(p) is { IsOpaque: true } ? "TCP" : PortContent.Of(p).Http ? "HTTP" : "TLS"))],
            signs.Now, Baseline.Of(signs.Before),
            [.. inbound.Items.Select(GoldenDocument.Of)], [.. outbound.Select(GoldenDocument.Of)],
            [.. asClient.Items.Select(i => GoldenDocument.Of(i with { Key = i.Key with { View = "client" } })), .. asServer.Items.Select(i => GoldenDocument.Of(i with { Key = i.Key with { View = "server" } }))],
            asked.IsPast ? PastEndpoints(name, served, byEndpoint.Items) : Endpoints(service, served.Model, signs, byEndpoint.Items),
            Versions(name, asked.IsPast ? null : served.Model, byBackend.Items), asked.IsPast ? [] : Policies(name, served.Model),
            [.. decisions.Where(d => d.Count > 0 && About(d, name, served)).OrderByDescending(d => d.Count).Select(d => DecisionRow.Of(d, asked.Length))],
            signs.Faults, insight.ChangesIn(asked, MostChanges, c => c.Namespace == name.Namespace && c.Service == name.Name));
    }

    private static bool About(DecisionCount decision, ServiceName name, ServedBy served) =>
        decision.Side == "server" ? served.Find(decision.Namespace, decision.Workload) == name
        : decision.Service == name.Name && decision.ServiceNamespace == name.Namespace;

    private List<PageEndpoint> Endpoints(Service? service, MeshModel model, ServiceSigns signs, IReadOnlyList<GoldenItem> golden)
    {
        if (service is null)
        {
            return [];
        }

        var numbers = golden.Where(i => i.Key.Endpoint is not null).GroupBy(i => i.Key.Endpoint!).ToDictionary(g => g.Key, g => GoldenSum.Of(g.Select(i => i.Numbers)), StringComparer.Ordinal);
        var balancers = signs.Balancers.ToLookup(b => b.Endpoint, StringComparer.Ordinal);
        var workloads = model.Workloads.Where(w => w.Namespace == service.Name.Namespace).ToLookup(w => w.Address, StringComparer.Ordinal);
        return
        [
            .. from behind in BehindService.Backends(model, service.Name).SelectMany(b => model.Services.TryGetValue(b, out var backend) ? backend.Endpoints.Select(e => (b.Namespace, Endpoint: e)) : [])
                   .DistinctBy(b => b.Endpoint.HostPort).OrderBy(b => b.Endpoint.HostPort, StringComparer.Ordinal)
               let endpoint = behind.Endpoint
               let workload = workloads[endpoint.Address].FirstOrDefault(w => w.Port is null || w.Port == endpoint.Port)
               select new PageEndpoint(
                   endpoint.HostPort, workload is { IsPod: true } ? workload.Name : endpoint.ServiceAccount,
                   endpoint.ServiceAccount is { } account ? $"spiffe://{options.TrustDomain}/ns/{behind.Namespace}/sa/{account}" : null,
                   endpoint.Zone.Length > 0 ? endpoint.Zone : null, workload?.Labels.GetValueOrDefault("version"), 1, endpoint.Meshed, endpoint.Ready,
                   numbers.GetValueOrDefault(endpoint.HostPort, GoldenNumbers.None),
                   [.. balancers[endpoint.HostPort].OrderBy(b => b.Source, StringComparer.Ordinal).ThenBy(b => b.Instance, StringComparer.Ordinal)
                       .Select(b => new PageBalancer(b.Source, b.SourceNamespace, b.Instance, b.State, b.Active, b.EwmaMs, b.Weight, b.EjectedUntil, b.Why, b.At))]),
        ];
    }

    /// <summary>Those that were called then, by their addresses: who ran there, and whether it was ready, is not kept.</summary>
    private static List<PageEndpoint> PastEndpoints(ServiceName name, ServedBy served, IReadOnlyList<GoldenItem> golden) =>
    [
        .. from item in golden
           where item.Key.Endpoint is { Length: > 0 }
           where served.Find(item.Key.DestinationNamespace ?? string.Empty, item.Key.Destination ?? string.Empty) == name
               || (item.Key.DestinationNamespace == name.Namespace && item.Key.Destination == name.Name) || (item.Key.BackendNamespace == name.Namespace && item.Key.Backend == name.Name)
           group item.Numbers by item.Key.Endpoint into endpoint
           orderby endpoint.Key
           select new PageEndpoint(endpoint.Key, null, null, null, null, null, null, null, GoldenSum.Of(endpoint), []),
    ];

    /// <param name="model">Null of a time past: where routes led then is not kept, only what arrived.</param>
    private static List<PageVersion> Versions(ServiceName name, MeshModel? model, IReadOnlyList<GoldenItem> golden)
    {
        var weights = new Dictionary<ServiceName, int>();
        foreach (var backend in (model?.Routes ?? []).AsEnumerable().Where(r => r.Parents.Any(p => p.Service == name)).SelectMany(r => r.Rules).Where(r => r.Backends.Length > 1).SelectMany(r => r.Backends))
        {
            weights.TryAdd(backend.Service, backend.Weight);
        }

        var numbers = golden.Where(i => i.Key.Backend is { Length: > 0 })
            .GroupBy(i => new ServiceName(i.Key.BackendNamespace ?? name.Namespace, i.Key.Backend!)).ToDictionary(g => g.Key, g => GoldenSum.Of(g.Select(i => i.Numbers)));
        return
        [
            .. weights.Keys.Union(numbers.Keys.Where(k => k != name)).OrderBy(k => k.ToString(), StringComparer.Ordinal)
                .Select(k => new PageVersion(k.Name, k.Namespace, model is null ? null : weights.GetValueOrDefault(k), numbers.GetValueOrDefault(k, GoldenNumbers.None))),
        ];
    }

    private static List<PagePolicy> Policies(ServiceName name, MeshModel model)
    {
        var routes = model.Routes.Where(r => r.Parents.Any(p => p.Service == name)).Select(r => (r.Namespace, r.Name, r.Grpc)).ToHashSet();
        var addresses = model.Services.TryGetValue(name, out var service) ? service.Endpoints.Select(e => e.Address).ToHashSet(StringComparer.Ordinal) : [];
        var workloads = model.Workloads.Where(w => w.Namespace == name.Namespace && addresses.Contains(w.Address)).ToList();
        return
        [
            .. from policy in model.Policies
               let here = policy.Attachments.Where(a => a.Target.Kind switch
               {
                   PolicyTargetKind.Namespace => policy.Name.Namespace == name.Namespace,
                   PolicyTargetKind.Service => policy.Name.Namespace == name.Namespace && a.Target.Name == name.Name,
                   PolicyTargetKind.Workload => policy.Name.Namespace == name.Namespace && workloads.Any(w => a.Target.Selects(w.Labels)),
                   _ => routes.Contains((policy.Name.Namespace, a.Target.Name, a.Target.Kind == PolicyTargetKind.GRPCRoute)),
               }).ToList()
               where here.Count > 0
               orderby policy.Kind, policy.Name.Namespace, policy.Name.Name
               select new PagePolicy(policy.Kind, policy.Name.Namespace, policy.Name.Name, policy.Invalid is null && here.Any(a => a.IsAccepted), ModelWords.Settings(policy)),
        ];
    }
}
