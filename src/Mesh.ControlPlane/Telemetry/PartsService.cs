using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Answers other replicas with what workloads told this one.</summary>
internal sealed class PartsService(GoldenStore store, BalancerTable balancers, TraceStore traces, IReplicaPeers peers, TimeProvider time) : Parts.PartsBase
{
    /// <summary>More than any question asks for.</summary>
    private const int MaxSteps = 100_000;

    /// <inheritdoc/>
    public override Task<PartsAnswer> Read(PartsQuery request, ServerCallContext context)
    {
        Check(context);
        var (query, plan) = (PartMessages.QueryOf(request), PlanOf(request));
        return Task.FromResult(PartMessages.Of(plan is null ? store.Read(query, step: null, out _) : store.Read(query, plan)));
    }

    /// <inheritdoc/>
    public override Task<DecisionsAnswer> Decisions(PartsQuery request, ServerCallContext context)
    {
        Check(context);
        var plan = PlanOf(request) ?? throw new RpcException(new Status(StatusCode.InvalidArgument, "Decisions are asked for in a time."));
        var answer = new DecisionsAnswer { About = PartMessages.Of(store.About(plan)) };
        answer.Decisions.AddRange(store.Decisions(plan).Select(d => new Decision
        {
            Workload = d.Workload, Namespace = d.Namespace, Side = d.Side, Decision_ = d.Decision, Reason = d.Reason, Service = d.Service, ServiceNamespace = d.ServiceNamespace, Count = d.Count,
        }));
        return Task.FromResult(answer);
    }

    /// <inheritdoc/>
    public override Task<BalancersAnswer> Balancers(BalancersQuery request, ServerCallContext context)
    {
        Check(context);
        var answer = new BalancersAnswer();
        answer.Balancers.AddRange(balancers.All(time.GetUtcNow()).Select(BalancerMessages.Of));
        return Task.FromResult(answer);
    }

    /// <inheritdoc/>
    public override Task<TracesAnswer> Traces(TracesQuery request, ServerCallContext context)
    {
        Check(context);
        return Task.FromResult(TraceMessages.Of(traces.ReachesBackTo, traces.Known(TraceMessages.QueryOf(request))));
    }

    /// <inheritdoc/>
    public override Task<SpansAnswer> Spans(SpansQuery request, ServerCallContext context)
    {
        Check(context);
        var answer = new SpansAnswer();
        answer.Spans.AddRange(request.TraceIds.Take(TraceMessages.MaxIds).SelectMany(id => traces.Find(id) ?? []).Select(s => TraceMessages.Of(s, request.Whole)));
        return Task.FromResult(answer);
    }

    private static GoldenPlan? PlanOf(PartsQuery request)
    {
        var plan = PartMessages.PlanOf(request);
        return plan is null || (plan.FromSlot >= 0 && plan.FromSlot < plan.ToSlot && plan.StepSlots is null or > 0 && plan.Steps <= MaxSteps) ? plan
            : throw new RpcException(new Status(StatusCode.InvalidArgument, $"Slots {request.FromSlot} to {request.ToSlot} by {request.StepSlots} can't be answered."));
    }

    private void Check(ServerCallContext context)
    {
        if (!peers.IsReplica(context.RequestHeaders))
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, "Only replicas of this control plane ask here."));
        }
    }
}
