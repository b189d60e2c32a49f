using System.Diagnostics;
using Mesh.Telemetry;

namespace Mesh.Server;

/// <summary>Reads <c>grpc-trace-bin</c> or B3 where there is no <c>traceparent</c>; all else is .NET's own.</summary>
internal sealed class AnyFormPropagator(DistributedContextPropagator inner) : DistributedContextPropagator
{
    public override IReadOnlyCollection<string> Fields => inner.Fields;

    public override void Inject(Activity? activity, object? carrier, PropagatorSetterCallback? setter) => inner.Inject(activity, carrier, setter);

    public override void ExtractTraceIdAndState(object? carrier, PropagatorGetterCallback? getter, out string? traceId, out string? traceState)
    {
        inner.ExtractTraceIdAndState(carrier, getter, out traceId, out traceState);
        if (string.IsNullOrEmpty(traceId) && getter is not null && TraceContext.TryRead((carrier, getter), static (from, name) => One(from.carrier, from.getter, name), out var context))
        {
            traceId = context.ToTraceParent();
        }
    }

    public override IEnumerable<KeyValuePair<string, string?>>? ExtractBaggage(object? carrier, PropagatorGetterCallback? getter) => inner.ExtractBaggage(carrier, getter);

    private static string? One(object? carrier, PropagatorGetterCallback getter, string name)
    {
        getter(carrier, name, out var value, out var values);
        return value is { Length: > 0 } ? value : values?.FirstOrDefault();
    }
}
