using System.Collections.Immutable;
using System.Globalization;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Files.Policies;

/// <summary>Attaches policies to what they target and settles conflicts (GEP-713): one policy of a kind per target, the oldest wins.</summary>
/// <param name="refused">Objects of any kind whose newest version is not used.</param>
/// <param name="now">What expired before has no effect; null: nothing expires.</param>
internal sealed class PolicyAssembler(
    Dictionary<ManifestKey, Manifest> objects, ImmutableDictionary<ServiceName, Service> services, IReadOnlyCollection<RefusedManifest> refused,
    DateTimeOffset? now, ImmutableArray<SourceProblem>.Builder problems)
{
    public ImmutableArray<TrafficPolicy> Assemble()
    {
        var taken = new Dictionary<(string Kind, string Namespace, PolicyTarget Target), TrafficPolicy>();
        var why = refused.GroupBy(r => r.Key).ToDictionary(g => g.Key, g => string.Join(' ', g.Select(r => r.What)));
        var attached = new List<TrafficPolicy>();
        foreach (var manifest in objects.Values.OfType<PolicyManifest>()
            .OrderBy(p => p.Created ?? DateTimeOffset.MaxValue).ThenBy(p => p.Key.Namespace, StringComparer.Ordinal).ThenBy(p => p.Key.Name, StringComparer.Ordinal)
            .ThenBy(p => p.Key.Kind, StringComparer.Ordinal))
        {
            var policy = new TrafficPolicy(manifest.Key.Kind, manifest.Name, manifest.Where, [], manifest.Values)
            {
                Invalid = why.GetValueOrDefault(manifest.Key),
                ExpiresAt = manifest.ExpiresAt,
            };
            attached.Add(policy with { Attachments = [.. manifest.Targets.Select(t => Attach(policy, t, taken))] });
        }

        new RateLimitCount(services, problems).RefuseTooMany(attached);
        // Never valid: nothing of it is in force, but its status can be asked for.
        var kinds = PolicyKinds.All.Select(k => k.Name).ToHashSet(StringComparer.Ordinal);
        attached.AddRange(refused.Where(r => kinds.Contains(r.Key.Kind) && !objects.ContainsKey(r.Key)).DistinctBy(r => r.Key)
            .Select(r => new TrafficPolicy(r.Key.Kind, new ServiceName(r.Key.Namespace, r.Key.Name), r.Where, [], []) { Invalid = why[r.Key] }));
        return [.. attached];
    }

    private PolicyAttachment Attach(TrafficPolicy policy, PolicyTargetManifest target, Dictionary<(string, string, PolicyTarget), TrafficPolicy> taken)
    {
        if (policy.ExpiresAt is { } end && end <= now)
        {
            // No problem: it was meant to end.
            return new PolicyAttachment(target.Target, PolicyReason.Expired, string.Create(CultureInfo.InvariantCulture, $"It ended at {end.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss'Z'}."));
        }

        if (Missing(policy, target.Target) is { } missing)
        {
            return Refuse(PolicyReason.TargetNotFound, missing);
        }

        if (Unfit(policy, target.Target) is { } unfit)
        {
            return Refuse(PolicyReason.Invalid, unfit);
        }

        var key = (policy.Kind, policy.Name.Namespace, target.Target);
        if (!taken.TryAdd(key, policy))
        {
            return Refuse(PolicyReason.Conflicted, $"{taken[key]} ({taken[key].Where}) stands at {target.Target} already and is older (creationTimestamp, else by name). Join the two or remove one.");
        }

        return new PolicyAttachment(target.Target, PolicyReason.Accepted, "The policy is in force.");

        PolicyAttachment Refuse(PolicyReason reason, string message)
        {
            problems.Add(new SourceProblem(target.Where, $"{policy}: has no effect at {target.Target} ({reason}): {message}"));
            return new PolicyAttachment(target.Target, reason, message);
        }
    }

    private string? Missing(TrafficPolicy policy, PolicyTarget target)
    {
        var ns = policy.Name.Namespace;
        switch (target.Kind)
        {
            case PolicyTargetKind.Namespace:
                return null; // its own, and it may be empty still
            case PolicyTargetKind.Service:
                if (!services.TryGetValue(new ServiceName(ns, target.Name), out var service))
                {
                    return $"There is no Service '{ns}/{target.Name}'.{Suggestion.For(target.Name, services.Keys.Where(s => s.Namespace == ns).Select(s => s.Name).Order(StringComparer.Ordinal))} Add it or correct the name.";
                }

                var ports = service.Ports.Select(p => p.Name).Where(n => n.Length > 0).ToArray();
                return target.Section is null || ports.Contains(target.Section) ? null
                    : $"Service '{service.Name}' has no port named '{target.Section}'.{Suggestion.For(target.Section, ports)} {(ports.Length == 0 ? "Its ports have no names: leave sectionName out." : $"It has {string.Join(", ", ports)}.")}";
            default:
                var kind = target.Kind.ToString();
                if (RouteOf(policy, target) is not { } route)
                {
                    var names = objects.Keys.Where(k => k.Kind == kind && k.Namespace == ns).Select(k => k.Name).Order(StringComparer.Ordinal);
                    return $"There is no {kind} '{ns}/{target.Name}'.{Suggestion.For(target.Name, names)} Add it or correct the name.";
                }

                var rules = route.Rules.Select(r => r.Name).Where(n => n.Length > 0).ToArray();
                return target.Section is null || rules.Contains(target.Section) ? null
                    : $"{route.Key} has no rule named '{target.Section}'.{Suggestion.For(target.Section, rules)} {(rules.Length == 0 ? "Its rules have no names: give the rule one." : $"It has {string.Join(", ", rules)}.")}";
        }
    }

    /// <summary>A rule that matches by path already can't match by the path's shape too: xDS has one condition on the path.</summary>
    private string? Unfit(TrafficPolicy policy, PolicyTarget target)
    {
        if (!policy.Values.Any(v => v.Setting == MatchSettings.PathTemplate) || RouteOf(policy, target) is not { } route)
        {
            return null;
        }

        for (var i = 0; i < route.Rules.Length; i++)
        {
            var (rule, filters) = (route.Rules[i], route.Filters[i].Filters);
            if (target.Section is not null && rule.Name != target.Section)
            {
                continue;
            }

            if (rule.Matches.FirstOrDefault(m => m.Path is { IsEverything: false }) is { } match)
            {
                return $"pathTemplate and the rule's own path condition ({match.Path}) exclude each other. Remove the path from the rule's matches, or pathTemplate.";
            }

            if (filters.Rewrite?.Path is { IsPrefix: true } || filters.Redirect?.Path is { IsPrefix: true })
            {
                return "pathTemplate takes no prefix that the rule's ReplacePrefixMatch could replace. Use ReplaceFullPath, or remove pathTemplate.";
            }
        }

        return null;
    }

    private RouteManifest? RouteOf(TrafficPolicy policy, PolicyTarget target) =>
        objects.GetValueOrDefault(new ManifestKey(target.Kind.ToString(), policy.Name.Namespace, target.Name)) as RouteManifest;
}
