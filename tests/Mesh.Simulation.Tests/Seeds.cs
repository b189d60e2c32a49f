using System.Globalization;
using Mesh.Testing.Simulation;
using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>Runs a scenario with many seeds, on all cores, and names every one that fails.</summary>
/// <remarks>
/// <c>MESH_SIM_SEED=n</c> runs that seed alone: it does the same again, on any machine. <c>MESH_SIM_SEEDS=n</c> runs n seeds per scenario instead of the
/// scenario's own number. Seeds count from 1, so that every run of CI is the same.
/// </remarks>
internal static class Seeds
{
    private const int ShowAtMost = 10;

    /// <summary>The environment says which seeds run, so that totals over all of them say nothing.</summary>
    public static bool AreChosen => (Number("MESH_SIM_SEED") ?? Number("MESH_SIM_SEEDS")) is not null;

    public static void Run(int count, Action<SimulatedWorld> scenario)
    {
        if (Number("MESH_SIM_SEED") is { } only)
        {
            RunOne(only, scenario);
            return;
        }

        var seeds = Number("MESH_SIM_SEEDS") ?? count;
        var failures = new SortedDictionary<int, Exception>();
        var next = 0;
        var threads = new Thread[Math.Min(Environment.ProcessorCount, seeds)];
        for (var i = 0; i < threads.Length; i++)
        {
            threads[i] = new Thread(() =>
            {
                while (Interlocked.Increment(ref next) is var seed && seed <= seeds)
                {
                    try
                    {
                        RunOne(seed, scenario);
                    }
#pragma warning disable CA1031 // collected, and thrown below with its seed
                    catch (Exception e)
#pragma warning restore CA1031
                    {
                        lock (failures)
                        {
                            failures.Add(seed, e);
                        }
                    }
                }
            });
            threads[i].Start();
        }

        foreach (var thread in threads)
        {
            thread.Join();
        }

        if (failures.Count > 0)
        {
            var shown = failures.Take(ShowAtMost).Select(f => $"seed {f.Key}: {f.Value.Message}");
            Assert.Fail(string.Create(
                CultureInfo.InvariantCulture,
                $"{failures.Count} of {seeds} seeds failed. Repeat one with MESH_SIM_SEED={failures.First().Key}.\n{string.Join("\n", shown)}\n{failures.First().Value}"));
        }
    }

    private static void RunOne(int seed, Action<SimulatedWorld> scenario) => SimulatedWorld.Run(seed, world =>
    {
        scenario(world);
        return true;
    });

    private static int? Number(string variable)
    {
        var value = Environment.GetEnvironmentVariable(variable);
        return string.IsNullOrEmpty(value) ? null
            : int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 ? number
            : throw new ArgumentException($"{variable} is '{value}'. Give a number from 1.");
    }
}
