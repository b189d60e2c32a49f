using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Mesh.ControlPlane.Api;

/// <summary>What is broken, where, and why.</summary>
internal static class InsightApi
{
    private const int MostChanges = 500;
    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(60);

    public static void Map(IEndpointRouteBuilder api)
    {
        api.MapGet("/v1/overview", (InsightTopics topics, TimeProvider time, string? window, string? from, string? to, CancellationToken cancellationToken) =>
            topics.OverviewAsync(Time(window, from, to, time), cancellationToken));
        api.MapGet("/v1/topology", (InsightTopics topics, TimeProvider time, string? window, string? from, string? to, CancellationToken cancellationToken) =>
            topics.TopologyAsync(Time(window, from, to, time), cancellationToken));
        api.MapGet("/v1/security", (SecurityReader security, TimeProvider time, string? window, string? from, string? to, CancellationToken cancellationToken) =>
            security.ReadAsync(Time(window, from, to, time), cancellationToken));
        api.MapGet("/v1/services/{ns}/{name}", ServiceAsync).ProducesProblem(404);
        api.MapGet("/v1/changes", Changes);
        api.MapGet("/v1/stream", InsightStream.RunAsync).Produces(200, contentType: "text/event-stream");
    }

    private static async Task<Results<Ok<ServicePage>, ProblemHttpResult>> ServiceAsync(
        InsightTopics topics, TimeProvider time, string ns, string name, string? window, string? from, string? to, CancellationToken cancellationToken) =>
        await topics.ServiceAsync(new ServiceName(ns, name), Time(window, from, to, time), cancellationToken) is { } page
            ? TypedResults.Ok(page)
            : TypedResults.Problem($"There is no Service {ns}/{name}, and nobody called one of that name. GET /api/v1/overview lists those that are.", statusCode: 404, title: "No such service");

    internal static TimeSpan Window(string? window) => window is null ? Usual : AskedTime.Window(window);

    private static InsightTime Time(string? window, string? from, string? to, TimeProvider time) => AskedTime.Insight(window, from, to, time, Usual);

    private static Results<Ok<ChangesAnswer>, ProblemHttpResult> Changes(ChangeLog changes, TimeProvider time, string? window, string? from, string? to, string? @namespace, string? service, string? limit)
    {
        var asked = AskedTime.Of(window, from, to, time.GetUtcNow(), TimeSpan.FromSeconds(AskedTime.LongestSeconds));
        var most = MostChanges;
        if (limit is not null && (!int.TryParse(limit, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out most) || most is < 1 or > ChangeLog.Most))
        {
            return TypedResults.Problem($"limit is '{limit}'. Give 1–{ChangeLog.Most}.", statusCode: 400, title: "Bad limit");
        }

        var found = changes.Newest(most, c => c.At >= asked.From && c.At <= asked.To
            && (string.IsNullOrEmpty(@namespace) || c.Namespace is null || c.Namespace == @namespace) && (string.IsNullOrEmpty(service) || c.Service is null || c.Service == service));
        return TypedResults.Ok(new ChangesAnswer(asked.From, asked.To, changes.ReachesBackTo, found));
    }
}

/// <param name="Items">Newest first.</param>
internal sealed record ChangesAnswer(DateTimeOffset From, DateTimeOffset To, DateTimeOffset ReachesBackTo, IReadOnlyList<MeshChange> Items);
