using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Insight;

/// <summary>One difference between two models.</summary>
/// <param name="Recovery">It mends.</param>
internal sealed record ModelWord(string Kind, string What, string? Namespace, string? Service, bool Recovery = false);

/// <summary>Says in words what differs between two models: which object, and what of it. Pure.</summary>
internal static class ModelWords
{
    private const int MostNames = 4;

    /// <summary>So many differences of one kind are told one by one; more are counted.</summary>
    private const int MostOfAKind = 20;

    public static IReadOnlyList<ModelWord> Between(MeshModel before, MeshModel after) =>
    [
        .. Limited(Routes(before, after).Concat(ConnectionRoutes(before, after)), "routes"),
        .. Limited(Policies(before, after), "policies"),
        .. Limited(Services(before, after), "services"),
        .. Limited(Endpoints(before, after), "services' endpoints"),
    ];

    /// <summary>How a fault policy's change is told: the fault itself, without the moment of its end.</summary>
    public static string Settings(TrafficPolicy policy) =>
        policy.Values.IsEmpty ? "refused" : string.Join(", ", policy.Values.Select(v => v.Value is Fault fault ? Settings(fault) : $"{v.Setting.Name} {v.Setting.Show(v.Value)}"));

    public static string Settings(Fault fault) => (fault with { ExpiresAt = null }).ToString().Replace(", without end", string.Empty, StringComparison.Ordinal);

    /// <summary>The one Service that a policy is about; null when it is about several, or none.</summary>
    public static string? ServiceOf(TrafficPolicy policy, MeshModel model)
    {
        var services = policy.Attachments.SelectMany(a => a.Target.Kind switch
        {
            PolicyTargetKind.Service => [a.Target.Name],
            PolicyTargetKind.HTTPRoute or PolicyTargetKind.GRPCRoute => model.Routes
                .Where(r => r.Namespace == policy.Name.Namespace && r.Name == a.Target.Name && r.Grpc == (a.Target.Kind == PolicyTargetKind.GRPCRoute))
                .SelectMany(r => r.Parents).Where(p => p.Service.Namespace == policy.Name.Namespace).Select(p => p.Service.Name),
            PolicyTargetKind.Workload => model.Workloads.Where(w => w.Namespace == policy.Name.Namespace && a.Target.Selects(w.Labels))
                .SelectMany(w => model.Services.Values.Where(s => s.Name.Namespace == w.Namespace && s.Endpoints.Any(e => e.Address == w.Address && (w.Port is null || e.Port == w.Port)))).Select(s => s.Name.Name),
            _ => (IEnumerable<string>)[],
        }).Distinct(StringComparer.Ordinal).Take(2).ToList();
        return services.Count == 1 ? services[0] : null;
    }

    private static IEnumerable<ModelWord> Routes(MeshModel before, MeshModel after)
    {
        foreach (var (old, now) in Pairs(before.Routes, after.Routes, r => (r.Grpc, r.Namespace, r.Name)))
        {
            var route = now ?? old!;
            var what = old is null ? "added" : now is null ? "removed" : RouteWords.Of(old, now);
            if (what is not null)
            {
                yield return new ModelWord(ChangeKinds.Config, $"{(route.Grpc ? "GRPCRoute" : "HTTPRoute")} {route.Namespace}/{route.Name} {what}", route.Namespace, OneParent(route.Namespace, route.Parents));
            }
        }
    }

    private static IEnumerable<ModelWord> ConnectionRoutes(MeshModel before, MeshModel after)
    {
        foreach (var (old, now) in Pairs(before.ConnectionRoutes, after.ConnectionRoutes, r => (r.Tls, r.Namespace, r.Name)))
        {
            var route = now ?? old!;
            var what = old is null ? "added" : now is null ? "removed"
                : old.Backends.SequenceEqual(now.Backends) && old.Parents.SequenceEqual(now.Parents) && old.Hostnames.SequenceEqual(now.Hostnames) ? null
                : old.Backends.SequenceEqual(now.Backends) ? "changed" : $"changed: {RouteWords.Weights(now.Backends)}";
            if (what is not null)
            {
                yield return new ModelWord(ChangeKinds.Config, $"{(route.Tls ? "TLSRoute" : "TCPRoute")} {route.Namespace}/{route.Name} {what}", route.Namespace, OneParent(route.Namespace, route.Parents));
            }
        }
    }

    private static IEnumerable<ModelWord> Policies(MeshModel before, MeshModel after)
    {
        foreach (var (old, now) in Pairs(before.Policies, after.Policies, p => (p.Kind, p.Name)))
        {
            var policy = now ?? old!;
            var (was, settings) = (old is null ? null : InForce(old), now is null ? null : InForce(now));
            var what = old is null ? $"added: {settings}"
                : now is null ? "removed"
                : was != settings ? Ended(now) ? "ended" : $"changed: {settings}"
                : !old.Attachments.Select(a => a.Target).SequenceEqual(now.Attachments.Select(a => a.Target)) ? $"changed: it is now for {Some([.. now.Attachments.Select(a => a.Target.ToString())])}"
                : null;
            if (what is not null)
            {
                var isFault = policy.Kind == "FaultPolicy";
                yield return new ModelWord(isFault ? ChangeKinds.Fault : ChangeKinds.Config, $"{policy.Kind} {policy.Name} {what}", policy.Name.Namespace, ServiceOf(policy, now is null ? before : after), isFault && (now is null || Ended(now)));
            }
        }
    }

    private static bool Ended(TrafficPolicy policy) => policy.Attachments.Any(a => a.Reason == PolicyReason.Expired);

    /// <summary>What it says and whether that has effect.</summary>
    private static string InForce(TrafficPolicy policy) =>
        policy.Attachments.FirstOrDefault(a => !a.IsAccepted) is { } refused ? $"{Settings(policy)} ({refused.Reason})"
        : policy.Invalid is not null ? $"{Settings(policy)} (its newest version is refused)"
        : Settings(policy);

    private static IEnumerable<ModelWord> Services(MeshModel before, MeshModel after)
    {
        foreach (var (old, now) in Pairs([.. before.Services.Values], [.. after.Services.Values], s => s.Name))
        {
            var name = (now ?? old!).Name;
            if (old is null || now is null)
            {
                yield return new ModelWord(ChangeKinds.Config, $"Service {name} {(old is null ? "added" : "removed")}", name.Namespace, name.Name);
            }
            else if (!old.Ports.SequenceEqual(now.Ports))
            {
                yield return new ModelWord(ChangeKinds.Config, $"Service {name} changed: ports {string.Join(", ", now.Ports.Select(p => p.Port))}", name.Namespace, name.Name);
            }
            else if (old.ExternalName != now.ExternalName || old.Distribution != now.Distribution || old.OnlyOwnNode != now.OnlyOwnNode)
            {
                yield return new ModelWord(ChangeKinds.Config, $"Service {name} changed", name.Namespace, name.Name);
            }
        }
    }

    private static IEnumerable<ModelWord> Endpoints(MeshModel before, MeshModel after)
    {
        foreach (var now in after.Services.Values.OrderBy(s => s.Name.ToString(), StringComparer.Ordinal))
        {
            if (!before.Services.TryGetValue(now.Name, out var old) || old.Endpoints == now.Endpoints)
            {
                continue;
            }

            var (was, are) = (Addresses(old), Addresses(now));
            var gone = was.Keys.Where(a => !are.ContainsKey(a)).ToList();
            var unready = are.Where(e => !e.Value.Ready && was.TryGetValue(e.Key, out var b) && b.Ready).Select(e => e.Key).ToList();
            var ready = are.Where(e => e.Value.Ready && (!was.TryGetValue(e.Key, out var b) || !b.Ready)).Select(e => e.Key).ToList();
            var meshed = are.Where(e => e.Value.Meshed && was.TryGetValue(e.Key, out var b) && !b.Meshed).Select(e => e.Key).ToList();
            (List<string> Which, string One, string More, bool Recovery)[] all =
            [
                (gone, "is gone", "are gone", false), (unready, "is not ready any more", "are not ready any more", false), (ready, "is ready", "are ready", true), (meshed, "is in the mesh", "are in the mesh", true),
            ];
            foreach (var (which, one, more, recovery) in all)
            {
                if (which.Count > 0)
                {
                    yield return new ModelWord(ChangeKinds.Endpoint, $"{now.Name}: {Some(which)} {(which.Count == 1 ? one : more)}", now.Name.Namespace, now.Name.Name, recovery);
                }
            }
        }
    }

    private static SortedDictionary<string, (bool Ready, bool Meshed)> Addresses(Service service)
    {
        var all = new SortedDictionary<string, (bool, bool)>(StringComparer.Ordinal);
        foreach (var endpoint in service.Endpoints)
        {
            all[endpoint.HostPort] = (endpoint.Ready, endpoint.Meshed);
        }

        return all;
    }

    private static IEnumerable<(T? Old, T? Now)> Pairs<T, TKey>(ImmutableArray<T> before, ImmutableArray<T> after, Func<T, TKey> key)
        where T : class
        where TKey : notnull
    {
        if (before == after)
        {
            yield break;
        }

        var old = new Dictionary<TKey, T>();
        foreach (var each in before)
        {
            old.TryAdd(key(each), each);
        }

        foreach (var now in after.DistinctBy(key))
        {
            yield return (old.Remove(key(now), out var was) ? was : null, now);
        }

        foreach (var gone in old.Values)
        {
            yield return (gone, null);
        }
    }

    private static List<ModelWord> Limited(IEnumerable<ModelWord> words, string what)
    {
        var all = words.ToList();
        return all.Count <= MostOfAKind ? all : [.. all.Take(MostOfAKind), new ModelWord(all[MostOfAKind].Kind, $"{all.Count - MostOfAKind} more {what} changed", null, null)];
    }

    private static string? OneParent(string ns, ImmutableArray<ParentRef> parents) =>
        parents.Select(p => p.Service).Distinct().Take(2).ToList() is [var only] && only.Namespace == ns ? only.Name : null;

    private static string Some(List<string> names) =>
        names.Count <= MostNames ? string.Join(", ", names) : $"{string.Join(", ", names.Take(MostNames))} and {names.Count - MostNames} more";
}
