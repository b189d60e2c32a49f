using System.Globalization;
using Mesh.ControlPlane.Hosting;

namespace Mesh.Benchmarks.Plane;

/// <summary>The other process: the real control plane, with the synthetic source or its own. Obeys its input and ends with it.</summary>
internal static class PlaneServe
{
    public static Task<int> RunAsync(string source, string[] args)
    {
        var feed = new SyntheticFeed();
        var reads = new Thread(() => Obey(feed)) { IsBackground = true };
        reads.Start();
        return ControlPlaneProgram.RunAsync(args, source == "synthetic" ? ControlPlaneParts.Default with { Source = context => new SyntheticSource(context, feed) } : ControlPlaneParts.Default);
    }

    private static void Obey(SyntheticFeed feed)
    {
        while (Console.In.ReadLine() is { } line)
        {
            if (line == "collect")
            {
                GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                Console.WriteLine(GC.GetTotalMemory(forceFullCollection: false).ToString(CultureInfo.InvariantCulture));
            }
            else
            {
                feed.Take(line);
            }
        }

        Environment.Exit(0);
    }
}
