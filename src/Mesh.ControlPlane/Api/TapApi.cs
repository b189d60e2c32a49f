using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tap;
using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Api;

/// <summary>Requests as they happen (docs/tap.md), and those that were refused.</summary>
internal static class TapApi
{
    private const double StandardRate = 100;

    // Counted, not read by people: the more is seen, the truer it is.
    private const double TopRate = 1000;

    // Between two flushes, so that a flood does not keep what comes each second.
    private const int MostAtOnce = 256;

    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    public static void Map(IEndpointRouteBuilder api)
    {
        api.MapGet("/v1/tap", (Delegate)TapAsync).Needs(ApiRight.Tap).Takes(TapParameters.Names).Produces<TapEvent>(contentType: "text/event-stream");
        api.MapGet("/v1/top", (Delegate)TopAsync).Needs(ApiRight.Tap).Takes(TapParameters.Names).Produces<TopAnswer>(contentType: "text/event-stream");
        api.MapGet("/v1/denials", DenialsAsync).Produces<DenialList>();
    }

    private static Task<IResult> TapAsync(HttpContext context) => WatchAsync(
        context, StandardRate, opens: true, onSeen: static seen => seen, onSecond: static totals => ("stats", new TapStatistics(totals.DataPlanes, totals.Sent, totals.Dropped, Share(totals))));

    private static Task<IResult> TopAsync(HttpContext context)
    {
        var table = new TopTable();
        return WatchAsync(
            // Only what has ended is counted.
            context, TopRate, opens: false,
            onSeen: seen =>
            {
                table.Add(seen);
                return null;
            },
            onSecond: totals => ("top", new TopAnswer(table.Items, totals.Seen, Share(totals), totals.DataPlanes)));
    }

    private static double Share(TapTotals totals) => Math.Round(totals.Sampled, 4);

    /// <param name="opens">What goes on for long is wanted while it does.</param>
    /// <param name="onSeen">What is shown of it at once; null is nothing.</param>
    /// <param name="onSecond">What is shown each second.</param>
    private static async Task<IResult> WatchAsync(
        HttpContext context, double standardRate, bool opens, Func<TapEvent, TapEvent?> onSeen, Func<TapTotals, (string Name, object Document)> onSecond)
    {
        var services = context.RequestServices;
        var parameters = TapParameters.Read(context.Request.Query, standardRate, opens, out var refusal);
        if (refusal is not null)
        {
            return refusal;
        }

        await using var watch = services.GetRequiredService<TapWatches>().Begin(parameters.Question);
        if (watch is null)
        {
            return ApiEndpoints.Problem(429, "Too many taps", $"{TapHub.MostTaps} taps run already, which is the limit. End one, or wait for it.");
        }

        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, services.GetRequiredService<Stopping>().Token);
        var stream = new EventStream(context);
        try
        {
            await stream.BeginAsync(ends.Token);
            await RunAsync(stream, services.GetRequiredService<TimeProvider>(), watch, parameters, onSeen, onSecond, ends.Token);
        }
        catch (OperationCanceledException) when (ends.IsCancellationRequested)
        {
            // Who looked is gone, or we are going.
        }

        return Results.Empty;
    }

    private static async Task RunAsync(
        EventStream stream, TimeProvider time, TapWatch watch, TapParameters parameters, Func<TapEvent, TapEvent?> onSeen, Func<TapTotals, (string Name, object Document)> onSecond,
        CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        using var timer = new PeriodicTimer(Second, time);
        await watch.ArrangeAsync();
        if (parameters.Secret.Count > 0)
        {
            stream.Add("notice", new TapNotice($"Never shown, because they may hold secrets: {string.Join(", ", parameters.Secret)}."));
        }

        AddNotices();
        await stream.FlushAsync(cancellationToken);
        var tick = timer.WaitForNextTickAsync(cancellationToken).AsTask();
        var more = watch.Events.WaitToReadAsync(cancellationToken).AsTask();
        while (true)
        {
            await Task.WhenAny(more, tick);
            for (var left = MostAtOnce; left > 0 && watch.Events.TryRead(out var seen); left--)
            {
                if (onSeen(seen) is { } shown)
                {
                    stream.Add(shown.Open ? "open" : "request", shown);
                }
            }

            if (more.IsCompleted)
            {
                await more;
                more = watch.Events.WaitToReadAsync(cancellationToken).AsTask();
            }

            if (tick.IsCompleted)
            {
                await tick;
                tick = timer.WaitForNextTickAsync(cancellationToken).AsTask();
                await watch.ArrangeAsync();
                var (name, document) = onSecond(watch.Totals);
                stream.Add(name, document);
                AddNotices();
                if (parameters.For is { } limit && time.GetElapsedTime(began) >= limit)
                {
                    await stream.FlushAsync(cancellationToken);
                    return;
                }
            }

            await stream.FlushAsync(cancellationToken);
        }

        void AddNotices()
        {
            foreach (var notice in watch.TakeNotices())
            {
                stream.Add("notice", new TapNotice(notice));
            }
        }
    }

    private static async Task<IResult> DenialsAsync(DenialAnswers denials, TimeProvider time, string? window, string? from, string? to, CancellationToken cancellationToken)
    {
        var asked = AskedTime.Of(window, from, to, time.GetUtcNow(), TimeSpan.FromSeconds(60));
        var answer = await denials.BetweenAsync(asked.From, asked.To, cancellationToken);
        return Results.Ok(new DenialList(asked.From, asked.To, 60, answer.ReachesBackTo, "memory", [.. answer.Partial.Select(p => new MissingReplica(p.Replica, p.Why))], [], answer.Items));
    }
}

/// <summary>What became of what a tap saw, since it began.</summary>
/// <param name="Sampled">0–1: what was shown of it.</param>
internal sealed record TapStatistics(int DataPlanes, long Sent, long Dropped, double Sampled);

internal sealed record TapNotice(string Text);

/// <param name="Sampled">0–1: what is counted of what was seen.</param>
internal sealed record TopAnswer(IReadOnlyList<TopItem> Items, long Seen, double Sampled, int DataPlanes);

/// <param name="Items">Newest first.</param>
internal sealed record DenialList(
    DateTimeOffset From, DateTimeOffset To, int StepS, DateTimeOffset ReachesBackTo, string Store, IReadOnlyList<MissingReplica> Partial, IReadOnlyList<MissingTime> Gaps, IReadOnlyList<DenialItem> Items);
