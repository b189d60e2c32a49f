using Shop.Processes;
using Shop.Story;

namespace Shop;

/// <summary>One run of the shop, from the build to the last process: read <see cref="RunAsync"/> first.</summary>
internal sealed class ShopRun(ShopOptions options, TextWriter output)
{
    private readonly EndpointCounter _counter = new();

    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        var starter = new ChildStarter();
        using var folders = new ShopFolders();
        folders.Keep = true; // until all went well
        Say("building the services …");
        var (restore, build) = await Building.RunAsync(starter, folders, cancellationToken);
        Say($"restored in {restore:0.0} s, built in {build:0.0} s");

        var started = DateTimeOffset.UtcNow;
        await using var shop = new OpenShop(starter, folders, options);
        var (controlPlane, services) = (shop.ControlPlane, shop.Services);

        try
        {
            await shop.StartAsync(
                async api =>
                {
                    Say($"control plane serves {api.Address}");
                    if (options.Story)
                    {
                        await api.SetLeafLifeAsync(StoryTeller.ShortLife, cancellationToken);
                    }
                },
                cancellationToken);
            await services.StartTrafficAsync(cancellationToken);
            var first = (await services.TrafficAsync(cancellationToken)).FirstSuccessAt!.Value - started;
            Say($"first page after {first.TotalSeconds:0.0} s");

            using var counting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var counter = CountAsync(controlPlane, counting.Token);
            try
            {
                var timing = new Timing(Math.Round(restore, 2), Math.Round(build, 2), Math.Round(first.TotalSeconds, 2));
                var exit = options.IsHeadless
                    ? await RunHeadlessAsync(controlPlane, services, folders, timing, cancellationToken)
                    : await new Screen(output, controlPlane, services, folders).RunAsync(cancellationToken);
                folders.Keep = exit != 0;
                return exit;
            }
            finally
            {
                await counting.CancelAsync();
                await counter;
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            folders.Keep = false;
            Say("ending every process …");
            throw;
        }
        catch (HttpRequestException error)
        {
            throw new ShopException($"{error.Message} (logs: {folders.Run}/logs)", error);
        }
    }

    private async Task<int> RunHeadlessAsync(ControlPlane controlPlane, Services services, ShopFolders folders, Timing timing, CancellationToken cancellationToken)
    {
        IReadOnlyList<StepSummary>? story = null;
        List<string> problems = [];
        if (options.Story)
        {
            (story, var failed) = await new StoryTeller(controlPlane, services, folders, _counter, Say).TellAsync(cancellationToken);
            problems.AddRange(failed);
        }

        if (options.For is { } time)
        {
            await PassAsync(time, controlPlane, services, problems, cancellationToken);
        }

        var edge = await services.StopTrafficAsync(cancellationToken);
        await SettleAsync(controlPlane, cancellationToken);
        var api = controlPlane.Api;
        var summary = new Summary(
            await api.PairsAsync(window: null, cancellationToken),
            await api.EndpointsAsync(cancellationToken),
            new EdgeCount(edge.Requests, edge.Failures),
            await api.StatusAsync(cancellationToken),
            timing)
        { Story = story };

        await output.WriteLineAsync();
        await output.WriteAsync(PairTable.Render(summary.Pairs));
        if (options.Summary is not null)
        {
            await File.WriteAllTextAsync(options.Summary, summary.ToJson(), cancellationToken);
            Say($"summary written to {options.Summary}");
        }

        if (edge.Requests == 0)
        {
            problems.Add("no request was made at the edge");
        }

        if (edge.Failures > 0)
        {
            problems.Add($"{edge.Failures} of {edge.Requests} requests failed at the edge; the last: {edge.LastFailure}");
        }

        foreach (var problem in problems)
        {
            await Console.Error.WriteLineAsync($"FAILED: {problem}");
        }

        if (problems.Count > 0)
        {
            await Console.Error.WriteLineAsync($"The logs are kept in {folders.Run}.");
        }

        Say($"{edge.Requests} requests at the edge, {edge.Failures} failed");
        return problems.Count == 0 ? 0 : 1;
    }

    private static async Task PassAsync(TimeSpan time, ControlPlane controlPlane, Services services, List<string> problems, CancellationToken cancellationToken)
    {
        var end = DateTimeOffset.UtcNow + time;
        while (DateTimeOffset.UtcNow < end)
        {
            var left = end - DateTimeOffset.UtcNow;
            await Task.Delay(left < TimeSpan.FromSeconds(2) && left > TimeSpan.Zero ? left : TimeSpan.FromSeconds(2), cancellationToken);
            if (controlPlane.Child.HasExited)
            {
                throw new ShopException(controlPlane.Child.Obituary);
            }

            if (services.All.FirstOrDefault(child => child.HasExited) is { } ended)
            {
                problems.Add(ended.Obituary);
                return;
            }
        }
    }

    /// <summary>Waits until what was measured has arrived: two equal readings, a second apart.</summary>
    private static async Task SettleAsync(ControlPlane controlPlane, CancellationToken cancellationToken)
    {
        var last = -1L;
        await Task.Delay(TimeSpan.FromSeconds(2), cancellationToken);
        await Waiting.UntilAsync("the counts to settle", TimeSpan.FromSeconds(20), async cancelled =>
        {
            var sum = (await controlPlane.Api.PairsAsync(window: null, cancelled)).Sum(pair => pair.Requests);
            var settled = sum == last;
            last = sum;
            if (!settled)
            {
                await Task.Delay(TimeSpan.FromSeconds(1.2), cancelled);
            }

            return settled ? null : "they still change";
        }, cancellationToken);
    }

    /// <summary>Reads the endpoints' counts every half second, and bears the control plane being away.</summary>
    private async Task CountAsync(ControlPlane controlPlane, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                _counter.Observe(await controlPlane.Api.EndpointsAsync(cancellationToken));
            }
            catch (Exception error) when (error is HttpRequestException or TaskCanceledException or ObjectDisposedException)
            {
                // Away on purpose in one step of the story; the next reading makes up for it.
            }

            await Task.Delay(500, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Say(string line) => output.WriteLine($"shop: {line}");
}
