using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Keeps a workload behind many Services from more rate limits than one may have: it would get no listener at all. The newest policies go.</summary>
internal sealed class RateLimitCount(ImmutableDictionary<ServiceName, Service> services, ImmutableArray<SourceProblem>.Builder problems)
{
    private const int Most = InboundLimitsDecoder.MaxRateLimits;

    /// <param name="policies">Oldest first; those that are one too many are replaced.</param>
    public void RefuseTooMany(List<TrafficPolicy> policies)
    {
        // Fewer in all can't be too many anywhere: no need to look at each address.
        while (policies.Where(p => p.Attachments.Any(a => a.IsAccepted)).SelectMany(p => p.Values).Sum(Limits) > Most && Crowded(policies) is { } crowd)
        {
            var last = policies.FindLastIndex(p => crowd.Values.Any(v => v.Source.Kind == p.Kind && v.Source.Name == p.Name));
            policies[last] = Refuse(policies[last], crowd);
        }
    }

    /// <summary>The first address that has too many.</summary>
    private Crowd? Crowded(List<TrafficPolicy> policies)
    {
        var effective = new EffectivePolicies(new MeshModel { Services = services, Policies = [.. policies] });
        var behind = from service in services.Values
                     from port in service.Ports
                     from endpoint in service.Endpoints
                     where endpoint.PortName == port.Name
                     group (Service: service.Name, Value: effective.ForPort(service.Name, port.Port).Find(LimitSettings.RateLimits)) by endpoint.HostPort into address
                     orderby address.Key
                     select address;
        foreach (var address in behind)
        {
            SettingValue[] values = [.. address.Select(a => a.Value).OfType<SettingValue>().Distinct()];
            if (values.Sum(Limits) > Most)
            {
                return new Crowd(address.Key, values, [.. address.Select(a => a.Service)]);
            }
        }

        return null;
    }

    private TrafficPolicy Refuse(TrafficPolicy policy, Crowd crowd)
    {
        var names = string.Join(", ", crowd.Values.Select(v => $"'{v.Source.Name}' ({Limits(v)})").Order(StringComparer.Ordinal));
        var message = $"The workload at {crowd.Address} is behind {crowd.Services.Count} Services, whose rate limits would be {crowd.Values.Sum(Limits)} together: {names}. "
            + $"It can have {Most}. This policy is the newest of them: remove limits, or let one policy of the namespace say them.";
        return policy with { Attachments = [.. policy.Attachments.Select(a => a.IsAccepted && Reaches(a.Target, policy, crowd) ? Refused(a) : a)] };

        PolicyAttachment Refused(PolicyAttachment attachment)
        {
            problems.Add(new SourceProblem(policy.Where, $"{policy}: has no effect at {attachment.Target} ({PolicyReason.Invalid}): {message}"));
            return attachment with { Reason = PolicyReason.Invalid, Message = message };
        }
    }

    private static bool Reaches(PolicyTarget target, TrafficPolicy policy, Crowd crowd) =>
        target.Kind == PolicyTargetKind.Namespace || crowd.Services.Contains(new ServiceName(policy.Name.Namespace, target.Name));

    private static int Limits(SettingValue value) => value.Setting == LimitSettings.RateLimits ? ((ImmutableArray<RateLimitRule>)value.Value).Length : 0;

    private sealed record Crowd(string Address, IReadOnlyList<SettingValue> Values, HashSet<ServiceName> Services);
}
