using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Insight;

/// <summary>Every fault that is injected now, whoever asked for it. Thread-safe.</summary>
internal sealed class FaultList(ModelStore models, ITemporaryFaults temporary)
{
    public IReadOnlyList<FaultItem> Now
    {
        get
        {
            var model = models.Current;
            if (!model.Policies.Any(p => p.Kind == TemporaryFault.Kind))
            {
                return [];
            }

            var asked = temporary.All.ToDictionary(f => new ServiceName(f.Namespace, f.PolicyName));
            return
            [
                .. from policy in model.Policies
                   where policy.Kind == TemporaryFault.Kind && policy.Attachments.Any(a => a.IsAccepted)
                   where policy.Values.Any(v => v.Value is Fault { IsNone: false })
                   let own = asked.GetValueOrDefault(policy.Name)
                   orderby policy.Name.Namespace, policy.Name.Name
                   select new FaultItem(
                       own?.Id ?? policy.Name.ToString(), policy.Name.Namespace, own?.Service ?? ModelWords.ServiceOf(policy, model), policy.Name.ToString(),
                       ModelWords.Settings(policy), policy.ExpiresAt, own is not null, own?.By)
                   {
                       Since = own?.StartedAt,
                   },
            ];
        }
    }

    /// <summary>The operator's policy that already says what faults a Service has: a temporary one would have no effect.</summary>
    public string? Taken(ServiceName service) => (
        from policy in models.Current.Policies
        where policy.Kind == TemporaryFault.Kind && policy.Name.Namespace == service.Namespace && !temporary.All.Any(f => f.PolicyName == policy.Name.Name)
        where policy.Attachments.Any(a => a.IsAccepted && a.Target is { Kind: PolicyTargetKind.Service, Section: null } && a.Target.Name == service.Name)
        select $"{policy.Name} ({policy.Where})").FirstOrDefault();
}
