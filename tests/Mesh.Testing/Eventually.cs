using System.Diagnostics;

namespace Mesh.Testing;

/// <summary>Waits for what real sockets and threads do in their own time.</summary>
public static class Eventually
{
    /// <summary>Returns as soon as the condition holds; fails after the timeout (10 s) naming what did not come.</summary>
    public static Task Async(Func<bool> condition, string what, TimeSpan? timeout = null) => Async(() => Task.FromResult(condition()), what, timeout);

    /// <summary>The same, for what has to be asked.</summary>
    public static async Task Async(Func<Task<bool>> condition, string what, TimeSpan? timeout = null)
    {
        var limit = timeout ?? TimeSpan.FromSeconds(10);
        var watch = Stopwatch.StartNew();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!await condition())
        {
            if (watch.Elapsed > limit)
            {
                throw new TimeoutException($"After {limit.TotalSeconds:0.#} s still not: {what}.");
            }

            await tick.WaitForNextTickAsync();
        }
    }
}
