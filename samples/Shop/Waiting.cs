using System.Diagnostics;

namespace Shop;

/// <summary>Waits that end: every one has a limit and says what it waited for.</summary>
internal static class Waiting
{
    private static readonly TimeSpan _between = TimeSpan.FromMilliseconds(200);

    /// <summary>Asks again until <paramref name="problem"/> returns null.</summary>
    /// <exception cref="ShopException">The limit passed: names <paramref name="what"/> and the last problem.</exception>
    public static async Task UntilAsync(string what, TimeSpan limit, Func<CancellationToken, Task<string?>> problem, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            string? last;
            try
            {
                last = await problem(cancellationToken);
            }
            catch (HttpRequestException error)
            {
                last = error.Message;
            }
            catch (TaskCanceledException error) when (!cancellationToken.IsCancellationRequested)
            {
                last = error.Message;
            }

            if (last is null)
            {
                return;
            }

            if (Stopwatch.GetElapsedTime(started) > limit)
            {
                throw new ShopException($"waited {limit.TotalSeconds:0} s for {what}: {last}");
            }

            await Task.Delay(_between, cancellationToken);
        }
    }
}
