using System.Diagnostics;

namespace Shop.TrafficGenerator;

/// <summary>What the customers saw so far.</summary>
/// <param name="FirstSuccessAt">When the first page arrived; null until then.</param>
/// <param name="LastFailure">What went wrong last, with its time.</param>
internal sealed record TrafficStats(long Requests, long Failures, DateTimeOffset? FirstSuccessAt, string? LastFailure);

/// <summary>A number of customers, each asking for one page after another.</summary>
internal sealed class Traffic(HttpClient http, int customers, TimeSpan pause, TimeProvider time) : IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private TrafficStats _stats = new(0, 0, null, null);
    private Task _running = Task.CompletedTask;

    public TrafficStats Stats
    {
        get
        {
            lock (_lock)
            {
                return _stats;
            }
        }
    }

    public void Start() => _running = Task.WhenAll(Enumerable.Range(0, customers).Select(CustomerAsync));

    /// <summary>Sends nothing new; requests in flight are finished and counted.</summary>
    public async Task StopAsync()
    {
        await _stopping.CancelAsync();
        await _running;
    }

    public void Dispose() => _stopping.Dispose();

    private async Task CustomerAsync(int number)
    {
        for (var i = number; !_stopping.IsCancellationRequested; i += customers)
        {
            await AskAsync(i % 100);
            await Task.Delay(pause, time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task AskAsync(int product)
    {
        string? failure = null;
        var started = Stopwatch.GetTimestamp();
        try
        {
            using var response = await http.GetAsync(new Uri($"/products/{product}", UriKind.Relative));
            if (!response.IsSuccessStatusCode)
            {
                failure = $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}";
            }
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException)
        {
            failure = error.Message;
        }

        var now = time.GetUtcNow();
        lock (_lock)
        {
            _stats = failure is null
                ? _stats with { Requests = _stats.Requests + 1, FirstSuccessAt = _stats.FirstSuccessAt ?? now }
                : _stats with
                {
                    Requests = _stats.Requests + 1,
                    Failures = _stats.Failures + 1,
                    LastFailure = $"{now:HH:mm:ss.fff} GET /products/{product} after {Stopwatch.GetElapsedTime(started).TotalMilliseconds:0} ms: {failure}",
                };
        }
    }
}
