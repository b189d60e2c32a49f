using System.Globalization;
using Mesh.ControlPlane.Tap;
using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Api;

/// <summary>Golden metrics over HTTP: by whatever key, in whatever time, from whatever keeps them.</summary>
internal static class GoldenApi
{
    /// <summary>Steps in one answer; more would be more than a chart has pixels.</summary>
    private const int MaxSteps = 4_000;

    private static readonly string[] Parameters =
    [
        "by", "view", "source", "source_namespace", "destination", "destination_namespace", "namespace", "route", "backend", "endpoint", "window", "from", "to",
    ];

    private static readonly TimeSpan Standard = TimeSpan.FromSeconds(60);

    /// <summary>Who asks live asks again within that time, or has gone.</summary>
    private static readonly TimeSpan StaysLive = TimeSpan.FromSeconds(10);

    public static void Map(IEndpointRouteBuilder api)
    {
        api.MapGet("/v1/golden", ReadAsync).Takes(Parameters).Produces<GoldenEnvelope>();
        api.MapGet("/v1/golden/series", ReadSeriesAsync).Takes([.. Parameters, "step_s"]).Produces<GoldenEnvelope>();
        api.MapGet("/v1/decisions", DecisionsAsync).Produces<GoldenEnvelope>();
        api.MapGet("/v1/pairs", async (IGoldenQueries golden, IDataPlanes planes, TimeProvider time, string? window, bool? live, CancellationToken cancellationToken) =>
            Pair.Of((await golden.ReadAsync(Short(GoldenBy.Pair, window, time, planes, live), cancellationToken)).Items));
        api.MapGet("/v1/endpoints", async (IGoldenQueries golden, IDataPlanes planes, TimeProvider time, string? window, bool? live, CancellationToken cancellationToken) =>
            EndpointRequests.Of((await golden.ReadAsync(Short(GoldenBy.Endpoint, window, time, planes, live), cancellationToken)).Items));
    }

    private static async Task<IResult> ReadAsync(IGoldenQueries golden, IDataPlanes planes, TimeProvider time, HttpRequest request, bool? live, CancellationToken cancellationToken)
    {
        Hurry(planes, live);
        var answer = await golden.ReadAsync(Asked(request.Query, time), cancellationToken);
        return Results.Ok(GoldenEnvelope.Of(answer, answer.Items.Select(GoldenDocument.Of)));
    }

    private static async Task<IResult> ReadSeriesAsync(IGoldenQueries golden, IDataPlanes planes, TimeProvider time, HttpRequest request, bool? live, CancellationToken cancellationToken)
    {
        Hurry(planes, live);
        var query = Asked(request.Query, time);
        var step = request.Query["step_s"].FirstOrDefault() is not { } text ? Slots.Fine
            : double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds is > 0 and <= AskedTime.LongestSeconds ? TimeSpan.FromSeconds(seconds)
            : throw new BadHttpRequestException($"step_s is '{text}'. Give seconds, such as 10 or 300.");
        var steps = (query.To - query.From) / (step < Slots.Fine ? Slots.Fine : step);
        if (steps > MaxSteps)
        {
            throw new BadHttpRequestException($"That is {steps:0} steps; at most {MaxSteps} are answered. Give a longer step_s, or less time.");
        }

        var answer = await golden.ReadSeriesAsync(query, step, cancellationToken);
        return Results.Ok(GoldenEnvelope.Of(answer, answer.Items.Select(GoldenSeriesDocument.Of)));
    }

    private static async Task<IResult> DecisionsAsync(
        IGoldenQueries golden, TimeProvider time, string? workload, string? service, string? service_namespace, string? @namespace, string? window, string? from, string? to, CancellationToken cancellationToken)
    {
        var asked = AskedTime.Of(window, from, to, time.GetUtcNow(), Standard);
        var answer = await golden.DecisionsAsync(asked.From, asked.To, cancellationToken);
        var over = Math.Max(1, (answer.To - answer.From).TotalSeconds);
        return Results.Ok(GoldenEnvelope.Of(answer, answer.Items
            .Where(d => (workload is null || d.Workload == workload) && (service is null || d.Service == service) && (service_namespace is null || d.ServiceNamespace == service_namespace) && (@namespace is null || d.Namespace == @namespace))
            .Select(d => new { d.Workload, d.Namespace, d.Side, d.Decision, d.Reason, d.Service, d.ServiceNamespace, d.Count, Rate = Math.Round(d.Count / over, 3) })));
    }

    /// <summary>Without a window: all since the start.</summary>
    private static GoldenQuery Short(GoldenBy by, string? window, TimeProvider time, IDataPlanes planes, bool? live)
    {
        Hurry(planes, live);
        var now = time.GetUtcNow();
        return new GoldenQuery(by, window is null ? GoldenQuery.Start : now - AskedTime.Window(window), now);
    }

    /// <summary>Somebody looks again and again: workloads report every second meanwhile.</summary>
    private static void Hurry(IDataPlanes planes, bool? live)
    {
        if (live == true)
        {
            planes.Hurry(StaysLive);
        }
    }

    private static GoldenQuery Asked(IQueryCollection query, TimeProvider time)
    {
        string? Text(string name) => query[name].FirstOrDefault();
        var asked = AskedTime.Of(Text("window"), Text("from"), Text("to"), time.GetUtcNow(), Standard);
        return new GoldenQuery(Word(Text("by"), "by", GoldenBy.Pair), asked.From, asked.To)
        {
            View = Word(Text("view"), "view", GoldenView.Auto),
            Source = Text("source"),
            SourceNamespace = Text("source_namespace"),
            Destination = Text("destination"),
            DestinationNamespace = Text("destination_namespace"),
            Namespace = Text("namespace"),
            Route = Text("route"),
            Backend = Text("backend"),
            Endpoint = Text("endpoint"),
        };
    }

    private static T Word<T>(string? text, string name, T standard)
        where T : struct, Enum
    {
        if (text is null)
        {
            return standard;
        }

        foreach (var value in Enum.GetValues<T>())
        {
            if (value.ToString().Equals(text, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        throw new BadHttpRequestException($"{name} is '{text}'. Use one of {string.Join(", ", Enum.GetNames<T>().Select(n => n.ToLowerInvariant()))}.");
    }
}
