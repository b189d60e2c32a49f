namespace Mesh.Testing;

/// <summary>Waits for something that real sockets or threads bring about.</summary>
internal static class Eventually
{
    /// <param name="what">What was expected, for the message.</param>
    public static async Task Async(Func<bool> condition, string what, TimeSpan? timeout = null)
    {
        var limit = timeout ?? TimeSpan.FromSeconds(10);
        var started = TimeProvider.System.GetTimestamp();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!condition())
        {
            if (TimeProvider.System.GetElapsedTime(started) > limit)
            {
                throw new TimeoutException($"Not within {limit.TotalSeconds:0.#} s: {what}");
            }

            await tick.WaitForNextTickAsync().ConfigureAwait(false);
        }
    }
}
