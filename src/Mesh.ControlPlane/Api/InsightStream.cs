using System.Security.Cryptography;
using System.Text.Json;
using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tap;
using Mesh.ControlPlane.Telemetry;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;

namespace Mesh.ControlPlane.Api;

/// <summary><c>GET /stream</c>: the documents of topics, each when it changed, as Server-Sent Events.</summary>
internal sealed class InsightStream(InsightTopics topics, ChangeLog changes, FaultList faults, ClientList clients, IDataPlanes dataPlanes, IOptions<JsonOptions> json, TimeProvider time)
{
    private const int MostTopics = 20;
    private const int MostStreams = 200;
    private const string ServicePrefix = "service:";

    /// <summary>At most once in it each topic is told.</summary>
    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(1);

    /// <summary>So that proxies between keep the connection.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(15);

    /// <summary>Who looks wants to see what happens now; it ends soon after the last one has gone.</summary>
    private static readonly TimeSpan Hurry = TimeSpan.FromSeconds(5);

    private static readonly string[] Plain = ["overview", "topology", "changes", "faults", "clients"];
    private int _streams;

    public static async Task RunAsync(HttpContext context, InsightStream stream, Stopping stopping, string? topics, string? window, string? from, string? to)
    {
        if ((from ?? to) is not null)
        {
            await ApiEndpoints.Problem(400, "Bad stream", "A stream is about now: give window, or ask the documents themselves for a time past.").ExecuteAsync(context);
            return;
        }

        var span = InsightApi.Window(window);
        if (!TryTopics(topics, out var asked, out var problem))
        {
            await ApiEndpoints.Problem(400, "Bad stream", problem).ExecuteAsync(context);
            return;
        }

        if (Interlocked.Increment(ref stream._streams) > MostStreams)
        {
            Interlocked.Decrement(ref stream._streams);
            await ApiEndpoints.Problem(503, "Too many streams", $"{MostStreams} streams are open already. Close one.").ExecuteAsync(context);
            return;
        }

        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping.Token);
        try
        {
            await stream.WriteAsync(context, asked, span, ends.Token);
        }
        catch (OperationCanceledException) when (ends.IsCancellationRequested)
        {
            // The reader went, or the control plane stops.
        }
        finally
        {
            Interlocked.Decrement(ref stream._streams);
        }
    }

    private static bool TryTopics(string? text, out List<string> topics, out string problem)
    {
        topics = [.. (text ?? string.Empty).Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Distinct(StringComparer.Ordinal)];
        var wrong = topics.FirstOrDefault(t => !Plain.Contains(t) && !(t.StartsWith(ServicePrefix, StringComparison.Ordinal) && t[ServicePrefix.Length..].Split('/') is [var ns, var name] && ApiEndpoints.IsLabel(ns) && ApiEndpoints.IsLabel(name)));
        problem = topics.Count is 0 or > MostTopics ? $"Give 1–{MostTopics} topics: {string.Join(", ", Plain)}, service:NAMESPACE/NAME."
            : wrong is not null ? $"'{(wrong.Length <= 100 ? wrong : wrong[..100] + "…")}' is no topic. There are {string.Join(", ", Plain)}, service:NAMESPACE/NAME."
            : string.Empty;
        return problem.Length == 0;
    }

    private async Task WriteAsync(HttpContext context, List<string> asked, TimeSpan window, CancellationToken cancellationToken)
    {
        var stream = new EventStream(context);
        await stream.BeginAsync(cancellationToken);
        var looksAtNumbers = asked.Any(t => t is "overview" or "topology" || t.StartsWith(ServicePrefix, StringComparison.Ordinal));
        var told = new Dictionary<string, byte[]>(StringComparer.Ordinal);
        var quietSince = time.GetTimestamp();
        while (true)
        {
            if (looksAtNumbers)
            {
                dataPlanes.Hurry(Hurry);
            }

            var wrote = false;
            foreach (var topic in asked)
            {
                var (document, same) = await ReadAsync(topic, window, cancellationToken);
                var hash = SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(same, json.Value.SerializerOptions));
                if (!told.TryGetValue(topic, out var before) || !before.AsSpan().SequenceEqual(hash))
                {
                    told[topic] = hash;
                    wrote = true;
                    stream.Add(document is StreamNotice ? "notice" : topic, document);
                }
            }

            if (!wrote && time.GetElapsedTime(quietSince) >= Silence)
            {
                wrote = true;
                stream.AddComment();
            }

            if (wrote)
            {
                quietSince = time.GetTimestamp();
                await stream.FlushAsync(cancellationToken);
            }

            await Task.Delay(Pace, time, cancellationToken);
        }
    }

    /// <returns>The document, and what of it is compared with the one before: all but the time of its making.</returns>
    private async Task<(object Document, object Same)> ReadAsync(string topic, TimeSpan window, CancellationToken cancellationToken)
    {
        try
        {
            switch (topic)
            {
                case "overview":
                    var overview = await topics.OverviewAsync(InsightTime.Last(window, time.GetUtcNow()), cancellationToken);
                    return (overview, overview with { Basis = overview.Basis.Timeless });
                case "topology":
                    var topology = await topics.TopologyAsync(InsightTime.Last(window, time.GetUtcNow()), cancellationToken);
                    return (topology, topology with { Basis = topology.Basis.Timeless });
                case "changes":
                    var (now, newest) = (time.GetUtcNow(), changes.Newest(200));
                    return (new ChangesAnswer(newest.Count > 0 ? newest[^1].At : now, now, changes.ReachesBackTo, newest), newest);
                case "faults":
                    var answer = new FaultsAnswer(faults.Now);
                    return (answer, answer);
                case "clients":
                    var (list, _) = await clients.ReadAsync(cancellationToken);
                    return (list, list);
                default:
                    var name = topic[ServicePrefix.Length..].Split('/');
                    var page = await topics.ServiceAsync(new ServiceName(name[0], name[1]), InsightTime.Last(window, time.GetUtcNow()), cancellationToken);
                    return page is null ? Notice($"There is no Service {name[0]}/{name[1]}.") : (page, page with { Basis = page.Basis.Timeless });
            }
        }
        catch (GoldenUnavailableException e)
        {
            return Notice(e.Message);
        }
    }

    private static (object, object) Notice(string text)
    {
        var notice = new StreamNotice(text);
        return (notice, notice);
    }

    private sealed record StreamNotice(string Text);
}
