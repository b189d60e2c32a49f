using Mesh.Config;
using Mesh.Traffic;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>After a call the request is what its caller wrote, whatever the mesh did with it.</summary>
public sealed class RestoredRequestTests : IAsyncLifetime
{
    private readonly FailureLab _lab = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Fact]
    public async Task Headers_OfDeadlineAndLoadReports_AreGoneAfterTheCall()
    {
        var sent = Array.Empty<string>();
        await _lab.AddAsync(http2: true, context =>
        {
            sent = [.. context.Request.Headers.Keys.Select(k => k.ToLowerInvariant())];
            return Task.CompletedTask;
        });
        _lab.Serve(FailureLab.Route, c => c with { LoadBalancing = LoadBalancing.WeightedRoundRobin });
        Deadline.Current = new Deadline(_lab.Time, _lab.Time.GetTimestamp(), TimeSpan.FromSeconds(5));
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");
        request.Headers.Add("X-Own", "1");
        request.Headers.Add(DeadlineHeaders.Envoy, "60000");

        using var response = await _lab.Client.SendAsync(request, Cancel);

        Assert.Contains("endpoint-load-metrics-format", sent);
        Assert.Contains(DeadlineHeaders.Http, sent, StringComparer.OrdinalIgnoreCase);
        Assert.Equal(["X-Own", DeadlineHeaders.Envoy], request.Headers.Select(h => h.Key), StringComparer.OrdinalIgnoreCase);
        Assert.Equal("60000", Assert.Single(request.Headers.GetValues(DeadlineHeaders.Envoy)));
    }
}
