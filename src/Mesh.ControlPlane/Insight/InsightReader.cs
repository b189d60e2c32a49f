using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Xds;
using Mesh.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>Reads how Services are: what was measured, what the model says, and what clients do, judged together. Thread-safe.</summary>
internal sealed class InsightReader(IGoldenQueries golden, ModelStore models, ClientRegistry clients, IssuanceLog issued, ChangeLog changes, FaultList faults, TimeProvider time)
{
    /// <summary>Long enough to be usual, short enough to be like now.</summary>
    public static readonly TimeSpan BaselineTime = TimeSpan.FromHours(1);

    private static readonly TimeSpan SparkTime = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan SparkStep = TimeSpan.FromSeconds(30);

    /// <summary>Beginnings are looked up of this many, the worst.</summary>
    private const int MostOnsets = 10;

    private const int ChangesShown = 50;
    private volatile ServedBy? _served;

    public DateTimeOffset Now => time.GetUtcNow();

    /// <summary>Of the model in force.</summary>
    public ServedBy Served
    {
        get
        {
            var (model, served) = (models.Current, _served);
            return served is not null && ReferenceEquals(served.Model, model) ? served : _served = new ServedBy(model);
        }
    }

    /// <exception cref="GoldenUnavailableException">What keeps the numbers does not answer.</exception>
    public async Task<Overview> OverviewAsync(InsightTime asked, CancellationToken cancellationToken)
    {
        var sparkFrom = asked.To - SparkTime;
        var judging = JudgeAsync(asked, null, cancellationToken);
        var drawing = golden.ReadSeriesAsync(new GoldenQuery(GoldenBy.Service, sparkFrom, asked.To), SparkStep, cancellationToken);
        await Task.WhenAll(judging, drawing);
        var ((all, answer), sparks) = (await judging, await drawing);
        var byService = sparks.Items.ToLookup(s => Name(s.Key));
        var recent = ChangesIn(asked, ChangesShown);
        var services = all.OrderByDescending(s => s.Level).ThenByDescending(s => Trouble(s.Signs)).ThenByDescending(s => s.Signs.Now.Rps)
            .ThenBy(s => s.Signs.Name.Namespace, StringComparer.Ordinal).ThenBy(s => s.Signs.Name.Name, StringComparer.Ordinal)
            .Select(s => new ServiceHealth(
                s.Signs.Name.Namespace, s.Signs.Name.Name, s.Level, asked.IsPast ? null : s.Signs.Endpoints.Ready > 0 && s.Signs.Endpoints.Meshed >= s.Signs.Endpoints.Ready, s.Reasons, s.Signs.Now, Baseline.Of(s.Signs.Before),
                Spark.Of(byService[s.Signs.Name].FirstOrDefault(), sparkFrom, sparks.Step), asked.IsPast ? null : s.Signs.Endpoints, asked.IsPast ? null : s.Signs.Faults.Count))
            .ToList();
        var basis = InsightBasis.Of(asked, answer, Overview.OnlyOfNow);
        // What brought a trouble about may have changed before the time that is asked about.
        var causes = asked.IsPast ? changes.Newest(ChangeLog.Most, c => c.At <= asked.To) : recent;
        return new Overview(basis, MeshStatus.Of(basis, services, causes), services, recent, asked.IsPast ? [] : faults.Now);
    }

    /// <summary>Newest first: of a time past what changed in it, else the newest.</summary>
    public IReadOnlyList<MeshChange> ChangesIn(InsightTime asked, int most, Func<MeshChange, bool>? which = null) =>
        changes.Newest(most, asked.IsPast ? c => asked.Has(c.At) && which?.Invoke(c) != false : which);

    /// <summary>Every Service that is known, judged; their reasons have beginnings. Of a time past: every one that was called then, or in the hour before.</summary>
    /// <param name="only">Null is all.</param>
    public async Task<(IReadOnlyList<JudgedService> Services, GoldenAnswer<GoldenItem> Answer)> JudgeAsync(InsightTime asked, ServiceName? only, CancellationToken cancellationToken)
    {
        GoldenQuery Query(DateTimeOffset from, DateTimeOffset to) =>
            new(GoldenBy.Service, from, to) { Destination = only?.Name, DestinationNamespace = only?.Namespace };

        GoldenQuery Arrived(DateTimeOffset from, DateTimeOffset to) => new(GoldenBy.Backend, from, to) { Backend = only?.Name };

        var (from, to, past) = (asked.From, asked.To, asked.IsPast);
        // All at once: other replicas take as long for five questions as for one.
        var now = golden.ReadAsync(Query(from, to), cancellationToken);
        var before = golden.ReadAsync(Query(from - BaselineTime, from), cancellationToken);
        var arrived = golden.ReadAsync(Arrived(from, to), cancellationToken);
        var arrivedBefore = golden.ReadAsync(Arrived(from - BaselineTime, from), cancellationToken);
        var decided = golden.DecisionsAsync(from, to, cancellationToken);
        await Task.WhenAll(now, before, arrived, arrivedBefore, decided);
        var (current, decisions, served) = (await now, (await decided).Items, Served);
        var (nowBy, beforeBy) = (ByService(current, served), ByService(await before, served));
        AddBackends(nowBy, await arrived, only);
        AddBackends(beforeBy, await arrivedBefore, only);
        var signs = past ? null : new ClientSigns(served, clients.Clients, issued.Live, asked.Now);
        var active = past ? [] : faults.Now;
        var nothing = past ? GoldenNumbers.NonePast : GoldenNumbers.None;
        // What no caller had on its list of Services for an hour is no service any more; and whether one that nobody called then was there then, nobody knows.
        var names = only is { } one ? [one] : past ? nowBy.Keys.Union(beforeBy.Keys) : served.Model.Services.Keys.Union(nowBy.Keys).Union(beforeBy.Keys);
        var judged = names.Select(name =>
        {
            served.Model.Services.TryGetValue(name, out var service);
            IReadOnlyList<BalancerState> balancers = past ? [] : [.. BehindService.Backends(served.Model, name).Append(name).Distinct().SelectMany(b => golden.Balancers(b.Name, b.Namespace))];
            var mine = decisions.Where(d => d.Side == "server" && d.Namespace == name.Namespace && served.Find(d.Namespace, d.Workload) == name).ToList();
            var of = new ServiceSigns(
                name, nowBy.GetValueOrDefault(name, nothing), beforeBy.GetValueOrDefault(name, nothing),
                service is null || past ? EndpointTotals.None : EndpointTotals.Of(BehindService.Endpoints(served.Model, name), balancers))
            {
                IsPast = past,
                IsExternal = service?.ExternalName is not null,
                Ejections = past ? decisions.Where(d => d is { Side: "client", Decision: Decisions.Eject } && d.Service == name.Name && d.ServiceNamespace == name.Namespace).Sum(d => d.Count) : 0,
                Balancers = balancers,
                Denied = mine.Where(d => d.Decision is Decisions.Authorization or Decisions.Unauthenticated).Sum(d => d.Count),
                Shed = mine.Where(d => d.Decision is Decisions.Shed or Decisions.RateLimit).Sum(d => d.Count),
                Lagging = signs?.Lagging(name) ?? [],
                LateCertificates = signs?.Late(name) ?? [],
                Faults = [.. active.Where(f => f.Namespace == name.Namespace && f.Service == name.Name)],
                Changes = ChangesIn(asked, 20, c => c.Namespace == name.Namespace && c.Service == name.Name),
            };
            var (level, reasons) = HealthRules.Judge(of);
            return new JudgedService(of, level, reasons);
        }).ToList();
        return (await WithOnsetsAsync(judged, asked, cancellationToken), current);
    }

    private async Task<IReadOnlyList<JudgedService>> WithOnsetsAsync(List<JudgedService> judged, InsightTime asked, CancellationToken cancellationToken)
    {
        var toBeFound = judged.Where(j => j.Reasons.Any(r => r.Since is null && r.Code is ReasonCodes.Failures or ReasonCodes.Latency))
            .OrderByDescending(j => j.Level).ThenByDescending(j => Trouble(j.Signs)).Take(MostOnsets).ToHashSet();
        var result = new List<JudgedService>(judged.Count);
        foreach (var one in judged)
        {
            result.Add(toBeFound.Contains(one) ? one with { Reasons = await BeganAsync(one, asked, cancellationToken) } : one);
        }

        return result;
    }

    private async Task<IReadOnlyList<Reason>> BeganAsync(JudgedService one, InsightTime asked, CancellationToken cancellationToken)
    {
        var reasons = one.Reasons.ToList();
        // By fine steps first; what is older than they reach is looked for by coarse ones.
        foreach (var (reach, step) in new[] { (TimeSpan.FromHours(1), TimeSpan.FromSeconds(10)), (TimeSpan.FromHours(6), TimeSpan.FromMinutes(1)), (TimeSpan.FromDays(2), TimeSpan.FromMinutes(5)) })
        {
            var answer = await golden.ReadSeriesAsync(
                new GoldenQuery(GoldenBy.Service, asked.To - reach, asked.To) { Destination = one.Signs.Name.Name, DestinationNamespace = one.Signs.Name.Namespace }, step, cancellationToken);
            if (answer.Items is not [var series, ..])
            {
                return reasons;
            }

            var open = false;
            for (var i = 0; i < reasons.Count; i++)
            {
                if (reasons[i].Code is not (ReasonCodes.Failures or ReasonCodes.Latency) || Onset.Find(Bad(series, reasons[i].Code, one.Signs), evenIfOver: asked.IsPast) is not { } first)
                {
                    continue;
                }

                reasons[i] = reasons[i] with { Since = series.T0 + (first * answer.Step) };
                // Bad from the first point on: it may have begun before.
                open |= first == 0 && answer.ReachesBackTo < series.T0;
            }

            if (!open)
            {
                return reasons;
            }
        }

        return reasons;
    }

    private static List<bool?> Bad(GoldenSeries series, string code, ServiceSigns signs)
    {
        var slow = HealthRules.SlowFrom(signs.Before) ?? double.MaxValue;
        return
        [
            .. Enumerable.Range(0, series.Requests.Count).Select(i => series.Requests[i] is not > 0 ? (bool?)null
                : code == ReasonCodes.Failures ? (double)(series.Failures[i] ?? 0) / series.Requests[i] >= HealthRules.DegradedShare
                : series.P99Ms[i] >= slow),
        ];
    }

    /// <summary>By how much calls suffer, to put the worst first.</summary>
    private static double Trouble(ServiceSigns signs) => HealthRules.FailureShare(signs.Now);

    /// <summary>What the called side reported is named after its workload.</summary>
    private static Dictionary<ServiceName, GoldenNumbers> ByService(GoldenAnswer<GoldenItem> answer, ServedBy served) =>
        answer.Items.Where(i => i.Key.Destination is { Length: > 0 })
            .GroupBy(i => served.Find(i.Key.DestinationNamespace ?? string.Empty, i.Key.Destination!) ?? Name(i.Key))
            .ToDictionary(g => g.Key, g => GoldenSum.Of(g.Select(i => i.Numbers)));

    /// <summary>A Service that only routes lead to is called by no name of its own: what arrived at it counts.</summary>
    private static void AddBackends(Dictionary<ServiceName, GoldenNumbers> services, GoldenAnswer<GoldenItem> arrived, ServiceName? only)
    {
        foreach (var backend in arrived.Items.Where(i => i.Key.Backend is { Length: > 0 }).GroupBy(i => new ServiceName(i.Key.BackendNamespace ?? string.Empty, i.Key.Backend!)))
        {
            if (only is null || backend.Key == only)
            {
                services.TryAdd(backend.Key, GoldenSum.Of(backend.Select(i => i.Numbers)));
            }
        }
    }

    private static ServiceName Name(GoldenKey key) => new(key.DestinationNamespace ?? string.Empty, key.Destination ?? string.Empty);
}

/// <summary>A Service, what was seen of it, and what that makes of it.</summary>
internal sealed record JudgedService(ServiceSigns Signs, HealthLevel Level, IReadOnlyList<Reason> Reasons);
