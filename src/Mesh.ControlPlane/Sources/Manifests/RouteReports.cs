using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Says of each route what became of it (Gateway API, RouteStatus): of those in force, and of those of which no version was ever valid.</summary>
internal sealed class RouteReports(Dictionary<ManifestKey, Manifest> objects, IReadOnlyDictionary<ManifestKey, ManifestFile> files, IReadOnlyCollection<RefusedManifest> refused, MeshModel model)
{
    private const string Conflicted = nameof(Conflicted);
    private const string NoMatchingParent = nameof(NoMatchingParent);
    private static readonly string[] Kinds = ["HTTPRoute", "GRPCRoute", ConnectionRouteReader.TlsKind, ConnectionRouteReader.TcpKind];

    private readonly ILookup<ManifestKey, RefusedManifest> _refused = refused.ToLookup(r => r.Key);

    /// <param name="found">By route, what following its references showed.</param>
    public ImmutableArray<RouteReport> Of(ILookup<ManifestKey, RouteFinding> found) =>
    [
        .. objects.Keys.Concat(_refused.Select(r => r.Key)).Where(k => Array.IndexOf(Kinds, k.Kind) >= 0).Distinct()
            .OrderBy(k => k.Kind, StringComparer.Ordinal).ThenBy(k => k.Namespace, StringComparer.Ordinal).ThenBy(k => k.Name, StringComparer.Ordinal)
            .Select(k => Of(k, [.. found[k]])),
    ];

    private RouteReport Of(ManifestKey key, RouteFinding[] found)
    {
        var (inForce, why) = (objects.GetValueOrDefault(key), _refused[key].ToArray());
        var (parents, own, rules) = inForce switch
        {
            RouteManifest route => (route.Parents, route.Findings, route.Rules.Length),
            ConnectionRouteManifest route => (route.Parents, route.Findings, 1),
            _ => ([], [], 0),
        };
        // Status answers what the newest version asks for.
        parents = why.Length > 0 && !why[0].Parents.IsEmpty ? why[0].Parents : parents;
        var file = files.GetValueOrDefault(key);
        var refusal = why.Length == 0 ? null : new Refusal(string.Join(' ', why.Select(w => w.What)), inForce is null ? null : file?.GenerationInForce ?? 0);
        RouteFinding[] all = [.. own, .. found];
        return new RouteReport(key.Kind, new ServiceName(key.Namespace, key.Name), inForce?.Where ?? why[0].Where,
            [.. parents.Select(p => new ParentReport(p.Namespace, p.Service.Name, p.Port, p.SectionName, [.. Conditions(key, p, refusal, all, rules)]))])
        {
            Origin = file?.Origin,
        };
    }

    private IEnumerable<RouteCondition> Conditions(ManifestKey key, ParentRefManifest parent, Refusal? refusal, RouteFinding[] found, int rules)
    {
        if (refusal is { Generation: null })
        {
            yield return new RouteCondition(RouteCondition.Accepted, false, RouteFinding.UnsupportedValue, $"{refusal.Why} It is not used.");
            yield return new RouteCondition(RouteCondition.ResolvedRefs, true, RouteCondition.ResolvedRefs, "Nothing of it is looked up.");
            yield break;
        }

        var generation = refusal?.Generation;
        var unsupported = Array.FindAll(found, f => f.Condition == RouteCondition.Accepted);
        var broken = unsupported.Where(f => f.Fails).Select(f => f.Rule).Distinct().ToArray();
        var accepted = Attachment(key, parent) ?? (rules > 0 && broken.Length >= rules ? new RouteCondition(RouteCondition.Accepted, false, RouteFinding.UnsupportedValue, Join(unsupported))
            : new RouteCondition(RouteCondition.Accepted, true, RouteCondition.Accepted, unsupported.Length == 0 ? "The route is in force." : $"The route is in force but for this: {Join(unsupported)}"));
        yield return accepted with { Generation = generation };
        var unresolved = Array.FindAll(found, f => f.Condition == RouteCondition.ResolvedRefs);
        yield return (unresolved.Length == 0 ? new RouteCondition(RouteCondition.ResolvedRefs, true, RouteCondition.ResolvedRefs, "Every backend was found.")
            : new RouteCondition(RouteCondition.ResolvedRefs, false, unresolved[0].Reason, Join(unresolved))) with { Generation = generation };
        if (refusal is not null)
        {
            yield return new RouteCondition(RouteCondition.PartiallyInvalid, true, RouteFinding.UnsupportedValue, $"Fall Back to generation {refusal.Generation}, the last good one: {refusal.Why}");
        }
        else if (accepted.Status && unsupported.Length > 0)
        {
            var dropped = broken.Length == 0 ? string.Empty : $"Dropped Rule {string.Join(", ", broken.Order())}, whose calls fail: ";
            yield return new RouteCondition(RouteCondition.PartiallyInvalid, true, RouteFinding.UnsupportedValue, dropped + Join(unsupported));
        }
    }

    /// <summary>Why a route has no effect at one of its parents; null when it has.</summary>
    private RouteCondition? Attachment(ManifestKey key, ParentRefManifest parent)
    {
        if (!model.Services.TryGetValue(parent.Service, out var service))
        {
            return new RouteCondition(RouteCondition.Accepted, false, NoMatchingParent, $"There is no Service '{parent.Service}'.");
        }

        var ports = service.Ports.Where(p => (parent.Port is null || p.Port == parent.Port) && (parent.SectionName is null || p.Name == parent.SectionName)).ToArray();
        if (ports.Length == 0)
        {
            return new RouteCondition(RouteCondition.Accepted, false, NoMatchingParent, $"Service '{parent.Service}' has no such port. It has {string.Join(", ", service.Ports.Select(p => p.Name.Length == 0 ? $"{p.Port}" : $"{p.Port} ('{p.Name}')"))}.");
        }

        var before = ports.Select(p => FirstAt(key, parent.Service, p)).ToArray();
        return Array.TrueForAll(before, b => b is not null) ? new RouteCondition(RouteCondition.Accepted, false, Conflicted, before[0]!) : null;
    }

    /// <summary>What takes all of the calls to a port that this route is about; null when nothing does.</summary>
    private string? FirstAt(ManifestKey key, ServiceName service, ServicePort port)
    {
        bool Here(ImmutableArray<ParentRef> parents) => parents.Any(p => p.Service == service && (p.Port is null || p.Port == port.Port));
        if (key.Kind == "HTTPRoute")
        {
            return model.Routes.FirstOrDefault(r => r.Grpc && r.Namespace == key.Namespace && Here(r.Parents)) is { } grpc
                ? $"GRPCRoute '{grpc.Namespace}/{grpc.Name}' is attached to port {port.Port} of Service '{service}' and goes first." : null;
        }

        if (key.Kind == "GRPCRoute")
        {
            return null;
        }

        var own = model.ConnectionRoutes.FirstOrDefault(r => r.Tls == (key.Kind == ConnectionRouteReader.TlsKind) && r.Namespace == key.Namespace && r.Name == key.Name);
        var older = model.ConnectionRoutes.TakeWhile(r => r != own).Where(r => own is not null && r.Tls == own.Tls && r.Namespace == own.Namespace && Here(r.Parents)).ToArray();
        if (own is null)
        {
            return null;
        }

        if (!own.Tls)
        {
            return older.Length == 0 ? null : $"TCPRoute '{older[0].Namespace}/{older[0].Name}' is attached to port {port.Port} of Service '{service}' and is older.";
        }

        return !PortContent.Of(port).Tls ? $"Port {port.Port} of Service '{service}' is opaque: no server name is read there."
            : older.Length > 0 && own.Hostnames.All(h => older.Any(o => o.Hostnames.Contains(h))) ? $"Its hostnames are taken at port {port.Port} of Service '{service}' by TLSRoute '{older[0].Namespace}/{older[0].Name}', which is older." : null;
    }

    private static string Join(IEnumerable<RouteFinding> findings) => string.Join(' ', findings.Select(f => Sentence(f.Message)).Distinct());

    private static string Sentence(string text) => text.Length == 0 ? text : (char.ToUpperInvariant(text[0]) + text[1..]).TrimEnd() is var sentence && sentence.EndsWith('.') ? sentence : sentence + ".";

    /// <param name="Generation">Of the last good version, which stays in force; null when there is none.</param>
    private sealed record Refusal(string Why, long? Generation);
}
