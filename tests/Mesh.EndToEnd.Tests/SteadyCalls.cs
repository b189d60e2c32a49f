using System.Collections.Concurrent;
using Mesh.Testing;

namespace Mesh.EndToEnd.Tests;

/// <summary>Traffic that flows while a test does something to the mesh: a call every 5 ms, each of which must be answered as expected.</summary>
internal sealed class SteadyCalls : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> _failures = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _calling;
    private int _count;

    public SteadyCalls(HttpClient client, string address, string expected) => _calling = Task.Run(() => CallAsync(client, new Uri(address), expected));

    /// <summary>Waits until so many more calls have ended.</summary>
    public Task FlowAsync(int calls = 100)
    {
        var until = Volatile.Read(ref _count) + calls;
        return Eventually.Async(() => Volatile.Read(ref _count) >= until, $"{calls} more calls end", TimeSpan.FromSeconds(30));
    }

    /// <summary>Stops calling; what failed.</summary>
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

    private async Task CallAsync(HttpClient client, Uri address, string expected)
    {
        using var pace = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                using var response = await client.GetAsync(address, CancellationToken.None);
                var answer = await response.Content.ReadAsStringAsync(CancellationToken.None);
                if (!response.IsSuccessStatusCode || answer != expected)
                {
                    _failures.Enqueue($"{(int)response.StatusCode}: {answer}");
                }
            }
            catch (Exception e)
            {
                _failures.Enqueue(e.ToString());
            }

            Interlocked.Increment(ref _count);
            await pace.WaitForNextTickAsync(CancellationToken.None);
        }
    }
}
