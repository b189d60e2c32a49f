using Mesh.Protos.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Callers' views of endpoints as replicas send them to each other.</summary>
internal static class BalancerMessages
{
    public static Balancer Of((string Service, string Namespace, BalancerState State) one)
    {
        var state = one.State;
        var message = new Balancer
        {
            Service = one.Service, Namespace = one.Namespace, Source = state.Source, SourceNamespace = state.SourceNamespace, Instance = state.Instance, Endpoint = state.Endpoint,
            State = state.State, Active = state.Active, EwmaMs = state.EwmaMs, Weight = state.Weight, AtMs = state.At.ToUnixTimeMilliseconds(),
        };
        if (state.EjectedUntil is { } until)
        {
            message.EjectedUntilMs = until.ToUnixTimeMilliseconds();
        }

        if (state.Why is { } why)
        {
            message.Why = why;
        }

        return message;
    }

    public static BalancerState Read(Balancer message) => new(
        message.Source, message.SourceNamespace, message.Instance, message.Endpoint, message.State, message.Active, message.EwmaMs, message.Weight,
        message.HasEjectedUntilMs ? PartMessages.Time(message.EjectedUntilMs) : null, message.HasWhy ? message.Why : null, PartMessages.Time(message.AtMs));
}
