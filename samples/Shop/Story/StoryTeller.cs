using System.Diagnostics;

namespace Shop.Story;

/// <summary>A step that did not hold what it promises.</summary>
internal sealed class StepFailedException(string message) : Exception(message);

/// <summary>Runs the seven steps one after another, with traffic throughout, and measures each.</summary>
internal sealed partial class StoryTeller(ControlPlane controlPlane, Services services, ShopFolders folders, EndpointCounter counter, Action<string> say)
{
    private static readonly TimeSpan _shortest = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan _limit = TimeSpan.FromMinutes(6);

    // A telemetry interval, and a second for what is on the way.
    private static readonly TimeSpan _settle = TimeSpan.FromSeconds(2);

    public async Task<(IReadOnlyList<StepSummary> Story, IReadOnlyList<string> Problems)> TellAsync(CancellationToken cancellationToken)
    {
        List<StepSummary> story = [];
        List<string> problems = [];
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limited.CancelAfter(_limit);
        (string Name, Func<CancellationToken, Task<string>> Run)[] steps =
        [
            // First: until the root has changed certificates are short-lived, and everyone reconnects all the time.
            ("rotate-certificates", RotateCertificatesAsync),
            ("change-root", ChangeRootAsync),
            ("kill-catalog-replica", KillReplicaAsync),
            ("slow-catalog-replica", SlowReplicaAsync),
            ("shift-pricing", ShiftPricingAsync),
            ("intruder", IntrudeAsync),
            ("kill-control-plane", KillControlPlaneAsync),
        ];
        await Task.Delay(_settle, cancellationToken);
        foreach (var (name, run) in steps)
        {
            try
            {
                story.Add(await RunAsync(name, run, problems, limited.Token));
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                problems.Add($"{name}: the story did not end within {_limit.TotalMinutes:0} minutes");
                break;
            }
        }

        return (story, problems);
    }

    private async Task<StepSummary> RunAsync(string name, Func<CancellationToken, Task<string>> run, List<string> problems, CancellationToken cancellationToken)
    {
        say($"story: {name} …");
        var started = Stopwatch.GetTimestamp();
        var before = counter.Totals();
        var failuresBefore = (await services.TrafficAsync(cancellationToken)).Failures;
        string detail;
        try
        {
            detail = await run(cancellationToken);
        }
        catch (Exception error) when (error is StepFailedException or ShopException or HttpRequestException)
        {
            detail = $"FAILED: {error.Message}";
            problems.Add($"{name}: {error.Message}");
        }

        var left = _shortest - Stopwatch.GetElapsedTime(started);
        await Task.Delay(left > _settle ? left : _settle, cancellationToken);
        var traffic = await services.TrafficAsync(cancellationToken);
        var failures = traffic.Failures - failuresBefore;
        if (failures > 0)
        {
            problems.Add($"{name}: {failures} requests failed at the edge; the last: {traffic.LastFailure}");
        }

        say($"story: {name}: {detail} ({failures} failed at the edge, {Stopwatch.GetElapsedTime(started).TotalSeconds:0} s)");
        return new StepSummary(name, failures, detail, EndpointCounter.Between(before, counter.Totals()));
    }

    private async Task<long> ReceivedAsync(string replica, IReadOnlyList<EndpointCount> since, CancellationToken cancellationToken)
    {
        counter.Observe(await controlPlane.Api.EndpointsAsync(cancellationToken));
        return EndpointCounter.Between(since, counter.Totals()).FirstOrDefault(count => count.Address == services.Address(replica))?.Requests ?? 0;
    }
}
