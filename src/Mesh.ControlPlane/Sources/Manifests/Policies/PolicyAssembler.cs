using System.Collections.Immutable;
using System.Globalization;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Attaches policies to what they target and settles conflicts (GEP-713): one policy of a kind per target, the oldest wins.</summary>
/// <param name="refused">Objects of any kind whose newest version is not used.</param>
/// <param name="now">What expired before has no effect; null: nothing expires.</param>
/// <remarks>Of kinds that add up any number may stand at a target. What must not be left out (<see cref="PolicyKind.Closes"/>) and can't be held closes its target.</remarks>
internal sealed class PolicyAssembler(
    Dictionary<ManifestKey, Manifest> objects, MeshModel model, IReadOnlyCollection<RefusedManifest> refused,
    DateTimeOffset? now, ImmutableArray<SourceProblem>.Builder problems)
{
    private readonly ImmutableDictionary<ServiceName, Service> _services = model.Services;
    private readonly AuthorizationTargets _authorization = new(objects, model);

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

        new RateLimitCount(_services, problems).RefuseTooMany(attached);
        new AuthorizationCount(model, problems).RefuseTooMany(attached);
        // Never valid: nothing of it is in force, but its status can be asked for.
        foreach (var never in refused.Where(r => PolicyKinds.Find(r.Key.Kind) is not null && !objects.ContainsKey(r.Key)).DistinctBy(r => r.Key))
        {
            var policy = new TrafficPolicy(never.Key.Kind, new ServiceName(never.Key.Namespace, never.Key.Name), never.Where, [], []) { Invalid = why[never.Key] };
            var closes = PolicyKinds.Find(never.Key.Kind)!.Closes;
            attached.Add(policy with { Attachments = closes ? [.. never.Targets.Select(t => Close(policy, t))] : [] });
        }

        return [.. attached];
    }

    /// <summary>No version of the policy was ever valid: its target is closed.</summary>
    private PolicyAttachment Close(TrafficPolicy policy, PolicyTargetManifest target)
    {
        if (Missing(policy, target.Target) is { } missing)
        {
            return new PolicyAttachment(target.Target, PolicyReason.TargetNotFound, missing);
        }

        return new PolicyAttachment(target.Target, PolicyReason.Invalid, $"{policy.Invalid} What it targets is closed but for probes.")
        {
            Closes = true,
            Whole = _authorization.Unfit(policy, target.Target) is not null,
        };
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

        var kind = PolicyKinds.Find(policy.Kind)!;
        if (Unfit(policy, target.Target) is { } unfit)
        {
            return Refuse(PolicyReason.Invalid, unfit);
        }

        if (kind.Closes && _authorization.Unfit(policy, target.Target) is { } untold)
        {
            return Refuse(PolicyReason.Invalid, untold + " Until then the workloads that the route leads to are closed but for probes.", "is not held") with { Closes = true, Whole = true };
        }

        if (kind.IsAdditive)
        {
            return new PolicyAttachment(target.Target, PolicyReason.Accepted, "The policy is in force.");
        }

        var key = (policy.Kind, policy.Name.Namespace, target.Target);
        if (!taken.TryAdd(key, policy))
        {
            return Refuse(PolicyReason.Conflicted, $"{taken[key]} ({taken[key].Where}) stands at {target.Target} already and is older (creationTimestamp, else by name). Join the two or remove one.");
        }

        return new PolicyAttachment(target.Target, PolicyReason.Accepted, "The policy is in force.");

        PolicyAttachment Refuse(PolicyReason reason, string message, string what = "has no effect")
        {
            problems.Add(new SourceProblem(target.Where, $"{policy}: {what} at {target.Target} ({reason}): {message}"));
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
            case PolicyTargetKind.Workload:
                return model.Workloads.Any(w => w.Namespace == ns && target.Selects(w.Labels)) ? null
                    : $"No workload of namespace '{ns}' has the labels {target.Name}. Labels are those of Pods, and of the Service where endpoints have no Pod: correct the selector.";
            case PolicyTargetKind.Service:
                if (!_services.TryGetValue(new ServiceName(ns, target.Name), out var service))
                {
                    return $"There is no Service '{ns}/{target.Name}'.{Suggestion.For(target.Name, _services.Keys.Where(s => s.Namespace == ns).Select(s => s.Name).Order(StringComparer.Ordinal))} Add it or correct the name.";
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
