using Mesh.Hosting;
using Mesh.Testing;
using Mesh.Xds;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>A control plane comes back and is not met by all its clients in one instant.</summary>
public sealed class ReconnectHerdTests
{
    private const int Clients = 20;

    [Fact]
    [Trait("gRFC", "A57")]
    public async Task Streams_OfManyClientsEndedAtOnce_ReconnectSpreadOverTime()
    {
        await using var server = await ScriptedAdsServer.StartAsync();
        // Each has its own clock, standing still: the waits that are asked of it are the reconnects.
        var clocks = Enumerable.Range(0, Clients).Select(_ => new RecordingTimeProvider()).ToArray();
        var sources = clocks.Select((clock, i) => new XdsConfigSource(
            server, new XdsNode($"web~{i}~shop", "shop", "web", "web", ["127.0.0.1"]), AdsVariant.Delta, clock, new Random(i), NullLoggerFactory.Instance)).ToArray();
        try
        {
            var streams = new List<DeltaStream>();
            foreach (var source in sources)
            {
                source.Start();
                var stream = (DeltaStream)await server.NextStreamAsync();
                var request = await stream.NextAsync();
                await stream.SendAsync(new() { TypeUrl = request.TypeUrl, Nonce = "1", RemovedResources = { "default" } });
                await stream.NextAsync(); // the ACK: the answer was taken in
                streams.Add(stream);
            }

            // It goes away: every stream breaks in the same moment, and for a while nobody answers.
            server.Unreachable = new IOException("connection refused");
            var before = clocks.Select(clock => clock.Timers.Count).ToArray();
            streams.ForEach(stream => stream.End(Grpc.Core.StatusCode.Unavailable));
            var first = await WaitsAsync(clocks, before);
            AssertSpread(first, TimeSpan.Zero, TimeSpan.FromSeconds(1));

            // The next tries fail: then each waits longer than the last time, still not together.
            var longest = TimeSpan.FromSeconds(1.2);
            foreach (var least in new[] { 0.8, 0.8 * 1.6, 0.8 * 1.6 * 1.6 })
            {
                before = [.. clocks.Select(clock => clock.Timers.Count)];
                for (var i = 0; i < Clients; i++)
                {
                    clocks[i].Advance(clocks[i].Timers[^1]);
                }

                AssertSpread(await WaitsAsync(clocks, before), TimeSpan.FromSeconds(least), longest);
                longest *= 1.6;
            }

            // It is back: every one of them returns.
            server.Unreachable = null;
            for (var i = 0; i < Clients; i++)
            {
                clocks[i].Advance(clocks[i].Timers[^1]);
                await server.NextStreamAsync();
            }
        }
        finally
        {
            foreach (var source in sources)
            {
                await source.DisposeAsync();
            }
        }
    }

    private static async Task<TimeSpan[]> WaitsAsync(RecordingTimeProvider[] clocks, int[] before)
    {
        await Eventually.Async(() => clocks.Zip(before).All(c => c.First.Timers.Count > c.Second), "every client waits before it tries again");
        return [.. clocks.Select(clock => clock.Timers[^1]).Order()];
    }

    private static void AssertSpread(TimeSpan[] waits, TimeSpan least, TimeSpan most)
    {
        Assert.All(waits, wait => Assert.InRange(wait, least, most));
        Assert.Equal(Clients, waits.Distinct().Count());

        // Of 20 that were spread evenly, two would come in each tenth of the span; half of all in one is a herd.
        var tenth = (most - least) / 10;
        Assert.All(waits, from => Assert.InRange(waits.Count(wait => wait >= from && wait <= from + tenth), 1, Clients / 2));
        Assert.True(waits[^1] - waits[0] > (most - least) / 2, $"All come within {waits[^1] - waits[0]}.");
    }
}
