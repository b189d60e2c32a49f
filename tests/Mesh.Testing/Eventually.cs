using System.Diagnostics;

namespace Mesh.Testing;

/// <summary>Waits for what real sockets and threads do in their own time.</summary>
public static class Eventually
{
    /// <summary>Returns as soon as the condition holds; fails after the timeout (10 s) naming what did not come.</summary>
    public static async Task Async(Func<bool> condition, string what, TimeSpan? timeout = null)
    {
        var limit = timeout ?? TimeSpan.FromSeconds(10);
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            if (watch.Elapsed > limit)
            {
                throw new TimeoutException($"After {limit.TotalSeconds:0.#} s still not: {what}.");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        }
    }
}
