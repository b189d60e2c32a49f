using System.Globalization;
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

    private static async Task<IResult> ListAsync(
        TraceAnswers traces, TimeProvider time, string? service, string? @namespace, string? min_ms, string? failed, string? limit, string? window, string? from, string? to, CancellationToken cancellationToken)
    {
        if (!TryNumber(min_ms, 0, 86_400_000, 0, out var least))
        {
            return Bad("min_ms", min_ms, "milliseconds, 0–86400000");
        }

        if (failed is not (null or "true" or "false"))
        {
            return Bad("failed", failed, "true or false");
        }

        if (!TryNumber(limit, 1, TraceQuery.MaxLimit, TraceQuery.DefaultLimit, out var most) || most != Math.Floor(most))
        {
            return Bad("limit", limit, $"a whole number, 1–{TraceQuery.MaxLimit}");
        }

        var query = new TraceQuery(OrNull(service), OrNull(@namespace), TimeSpan.FromMilliseconds(least), failed == "true", (int)most);
        if ((window ?? from ?? to) is not null)
        {
            var asked = AskedTime.Of(window, from, to, time.GetUtcNow(), TimeSpan.FromSeconds(AskedTime.LongestSeconds));
            // What begins while this is answered is of now too.
            query = query with { From = asked.From, To = to is null ? DateTimeOffset.MaxValue : asked.To };
        }

        return Results.Ok(await traces.ListAsync(query, cancellationToken));
    }

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

    private static string? OrNull(string? text) => string.IsNullOrEmpty(text) ? null : text;

    private static bool TryNumber(string? text, double least, double most, double otherwise, out double number)
    {
        number = otherwise;
        return string.IsNullOrEmpty(text) || (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out number) && number >= least && number <= most);
    }

    private static IResult Bad(string name, string? value, string use) => ApiEndpoints.Problem(400, $"Bad {name}", $"{name} is '{value}'. Give {use}, or leave it out.");
}
