using System.Collections.Concurrent;
using Mesh.Testing;

namespace Mesh.EndToEnd.Tests;

/// <summary>Traffic that flows while a test does something to the mesh: calls at a steady pace, each of which must be answered as expected.</summary>
internal sealed class SteadyCalls : IAsyncDisposable
{
    private const int MostFailures = 100;
    private static readonly TimeSpan _pace = TimeSpan.FromMilliseconds(5);
    private readonly ConcurrentQueue<string> _failures = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _calling;
    private int _count;

    /// <summary>One call after the other, at most one every 5 ms.</summary>
    public SteadyCalls(HttpClient client, string address, string expected)
        : this(() => GetAsync(client, new Uri(address), expected), 1, _pace)
    {
    }

    /// <param name="call">Null when it was answered as expected, else what came instead.</param>
    /// <param name="callers">So many call at once, each one call after the other.</param>
    /// <param name="pace">Between the starts of one's calls; the next waits for the one before.</param>
    public SteadyCalls(Func<Task<string?>> call, int callers, TimeSpan pace) => _calling = Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(() => CallAsync(call, pace))));

    /// <summary>How many have ended.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Waits until so many more calls have ended.</summary>
    public Task FlowAsync(int calls = 100)
    {
        var until = Count + calls;
        return Eventually.Async(() => Count >= until, $"{calls} more calls end", TimeSpan.FromSeconds(30));
    }

    public static async Task<string?> GetAsync(HttpClient client, Uri address, string expected)
    {
        using var response = await client.GetAsync(address, CancellationToken.None);
        var answer = await response.Content.ReadAsStringAsync(CancellationToken.None);
        return response.IsSuccessStatusCode && answer == expected ? null : $"{(int)response.StatusCode}: {answer}";
    }

    /// <summary>Stops calling; what failed, the first hundred.</summary>
    public async Task<IReadOnlyCollection<string>> EndAsync()
    {
        await _stop.CancelAsync();
        await _calling;
        return _failures;
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _stop.Dispose();
    }

    private async Task CallAsync(Func<Task<string?>> call, TimeSpan pace)
    {
        using var ticks = new PeriodicTimer(pace);
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                Failed(await call());
            }
            catch (Exception e)
            {
                Failed(e.ToString());
            }

            Interlocked.Increment(ref _count);
            await ticks.WaitForNextTickAsync(CancellationToken.None);
        }
    }

    private void Failed(string? what)
    {
        if (what is not null && _failures.Count < MostFailures)
        {
            _failures.Enqueue($"{TimeProvider.System.GetUtcNow():HH:mm:ss.fff} {what}");
        }
    }
}
