using System.Diagnostics;
using System.Globalization;

namespace Shop.Story;

internal sealed partial class StoryTeller
{
    private static readonly TimeSpan _away = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan _controlPlaneAway = TimeSpan.FromSeconds(30);

    private async Task<string> KillReplicaAsync(CancellationToken cancellationToken)
    {
        const string victim = "catalog-2";
        services[victim].Kill();
        await services[victim].Exited;
        await Task.Delay(_away, cancellationToken);
        var back = Stopwatch.GetTimestamp();
        var dead = counter.Totals();
        await services.StartAsync(Replica.All.First(replica => replica.Name == victim), cancellationToken);
        await Waiting.UntilAsync($"{victim} to serve again", TimeSpan.FromSeconds(45), async cancelled =>
        {
            var received = await ReceivedAsync(victim, dead, cancelled);
            return received >= 10 ? null : $"it received {received} requests since it came back; log {services[victim].LogFile}";
        }, cancellationToken);
        var served = Stopwatch.GetElapsedTime(back);
        // What it had counted since its last report is lost with it; that is said, not hidden.
        IReadOnlyList<MissingTime> gaps = [];
        await Waiting.UntilAsync($"the gap in the numbers of {victim} to be told", TimeSpan.FromSeconds(45), async cancelled =>
        {
            gaps = [.. (await controlPlane.Api.GapsAsync(window: 300, cancelled)).Where(gap => gap.Who.StartsWith("catalog@", StringComparison.Ordinal))];
            return gaps.Count > 0 ? null : "the control plane names none";
        }, cancellationToken);
        return $"{victim} was killed, was away for {_away.TotalSeconds:0} s, and served again {served.TotalSeconds:0.0} s after its start; its last {(gaps[0].To - gaps[0].From).TotalSeconds:0.0} s are told to be missing";
    }

    private async Task<string> SlowReplicaAsync(CancellationToken cancellationToken)
    {
        const string slow = "catalog-3";
        await services.SlowAsync(slow, 200, cancellationToken);
        IReadOnlyList<EndpointCount> measured;
        try
        {
            // What was fast before is reported within a telemetry interval; from here on every count is of the slow time.
            await Task.Delay(_settle, cancellationToken);
            var before = counter.Totals();
            await Task.Delay(_shortest, cancellationToken);
            counter.Observe(await controlPlane.Api.EndpointsAsync(cancellationToken));
            measured = [.. EndpointCounter.Between(before, counter.Totals()).Where(count => count.Service == "catalog")];
        }
        finally
        {
            await services.SlowAsync(slow, 0, CancellationToken.None);
        }

        var replicas = Replica.All.Count(replica => replica.Workload == "catalog");
        var all = measured.Sum(count => count.Requests);
        var share = Checks.ShareOf(measured, services.Address(slow));
        var fair = 1.0 / replicas;
        var text = string.Create(CultureInfo.InvariantCulture, $"{slow} answered 200 ms late and got {share:P1} of {all} catalog requests; its fair share is {fair:P1}");
        return all >= 100 && share <= fair / 2
            ? text
            : throw new StepFailedException(all < 100 ? $"only {all} catalog requests were counted" : $"{text}, at most half of which it may get");
    }

    private async Task<string> ShiftPricingAsync(CancellationToken cancellationToken)
    {
        var file = Path.Combine(folders.Mesh, "pricing.yaml");
        var yaml = await File.ReadAllTextAsync(file, cancellationToken);
        yaml = Manifests.SetWeight(Manifests.SetWeight(yaml, "pricing-v1", 50), "pricing-v2", 50);
        await WriteAtOnceAsync(file, yaml, cancellationToken);

        var edited = Stopwatch.GetTimestamp();
        var before = counter.Totals();
        await Waiting.UntilAsync("the new weights to be in force", TimeSpan.FromSeconds(30), async cancelled =>
        {
            // Short looks: in each only what is new since the last one counts.
            await Task.Delay(TimeSpan.FromSeconds(1), cancelled);
            counter.Observe(await controlPlane.Api.EndpointsAsync(cancelled));
            var now = counter.Totals();
            var (share, all) = Checks.PricingV2Share(EndpointCounter.Between(before, now));
            before = now;
            return all >= 20 && share > 0.3 ? null : string.Create(CultureInfo.InvariantCulture, $"v2 gets {share:P0} of {all}");
        }, cancellationToken);
        var inForce = Stopwatch.GetElapsedTime(edited);
        await Task.Delay(_settle, cancellationToken);

        counter.Observe(await controlPlane.Api.EndpointsAsync(cancellationToken));
        before = counter.Totals();
        var result = (Share: 0.0, All: 0L);
        var measuring = Stopwatch.GetTimestamp();
        await Waiting.UntilAsync("2000 priced products", TimeSpan.FromSeconds(60), async cancelled =>
        {
            await Task.Delay(TimeSpan.FromSeconds(1), cancelled);
            counter.Observe(await controlPlane.Api.EndpointsAsync(cancelled));
            result = Checks.PricingV2Share(EndpointCounter.Between(before, counter.Totals()));
            return result.All >= 2000 && Stopwatch.GetElapsedTime(measuring) >= _shortest ? null : $"{result.All} so far";
        }, cancellationToken);
        var text = string.Create(CultureInfo.InvariantCulture,
            $"the weights were in force {inForce.TotalSeconds:0.0} s after the edit (or sooner); pricing v2 then got {result.Share:P1} of {result.All}");
        return result.Share is >= 0.45 and <= 0.55 ? text : throw new StepFailedException($"{text}, not 45–55 %");
    }

    private async Task<string> KillControlPlaneAsync(CancellationToken cancellationToken)
    {
        var clients = (await controlPlane.Api.StatusAsync(cancellationToken)).Clients;
        await controlPlane.KillAsync();
        await Task.Delay(_controlPlaneAway, cancellationToken);
        await controlPlane.StartAsync(cancellationToken);
        var back = Stopwatch.GetTimestamp();
        var returned = 0L;
        await Waiting.UntilAsync($"{clients} clients to return", TimeSpan.FromSeconds(60), async cancelled =>
        {
            returned = (await controlPlane.Api.StatusAsync(cancelled)).Clients;
            return returned >= clients ? null : $"{returned} did";
        }, cancellationToken);
        return $"the control plane was dead for {_controlPlaneAway.TotalSeconds:0} s; {returned} clients returned within {Stopwatch.GetElapsedTime(back).TotalSeconds:0.0} s";
    }

    /// <summary>As a good editor saves: nobody ever reads half a file.</summary>
    private static async Task WriteAtOnceAsync(string file, string text, CancellationToken cancellationToken)
    {
        var temporary = $"{file}.tmp";
        await File.WriteAllTextAsync(temporary, text, cancellationToken);
        File.Move(temporary, file, overwrite: true);
    }
}
