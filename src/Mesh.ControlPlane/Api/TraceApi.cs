using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Api;

/// <summary>What single calls did on their way through the mesh.</summary>
internal static class TraceApi
{
    public static void Map(IEndpointRouteBuilder api)
    {
        api.MapGet("/v1/traces", ListAsync).Produces<TraceList>();
        api.MapGet("/v1/traces/{id}", ShowAsync);
    }

    private static async Task<IResult> ListAsync([AsParameters] TraceParameters asked, TraceAnswers traces, ModelStore models, TimeProvider time, CancellationToken cancellationToken) =>
        asked.Read(models.Current, time.GetUtcNow(), out var refusal) is { } query ? Results.Ok(await traces.ListAsync(query, cancellationToken)) : refusal!;

    private static async Task<IResult> ShowAsync(TraceAnswers traces, string id, CancellationToken cancellationToken)
    {
        var wanted = id.ToLowerInvariant();
        var (spans, partial) = await traces.FindAsync(wanted, cancellationToken);
        if (spans.Count == 0)
        {
            var missing = partial.Count == 0 ? string.Empty : $" Not asked: {string.Join("; ", partial.Select(p => $"replica {p.Replica} ({p.Why})"))}.";
            return ApiEndpoints.Problem(404, "No such trace", $"No span of trace '{Mesh.Tap.TapText.Of(id, 64)}' is kept. Traces are kept in memory, ordinary ones for the shortest time; 'mesh traces' shows those that are.{missing}");
        }

        return Results.Ok(new
        {
            trace_id = wanted,
            partial,
            spans = spans.Select(s => new
            {
                s.SpanId,
                s.ParentId,
                s.Name,
                s.Kind,
                s.Workload,
                s.Namespace,
                s.Start,
                duration_ms = Math.Round(s.Duration.TotalMilliseconds, 3),
                status = s.Failed ? "error" : "ok",
                s.Attributes,
                events = s.Events.Select(e => new { e.At, e.Name, e.Attributes }),
            }),
        });
    }
}
