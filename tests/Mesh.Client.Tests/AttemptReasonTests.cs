using System.Collections.Concurrent;
using System.Diagnostics;
using Mesh.Config;
using Mesh.Telemetry;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Why an attempt was made is one word in metrics and traces.</summary>
public sealed class AttemptReasonTests : IAsyncLifetime
{
    private readonly FailureLab _lab = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _lab.DisposeAsync();

    [Fact]
    public async Task Hedged_AttemptAfterAFailedOne_IsTracedWithTheDecisionsReason()
    {
        using var root = new Activity("test").SetIdFormat(ActivityIdFormat.W3C);
        root.ActivityTraceFlags = ActivityTraceFlags.Recorded;
        root.Start();
        var reasons = new ConcurrentQueue<object?>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == MeshTags.ActivitySource,
            Sample = (ref ActivityCreationOptions<ActivityContext> options) =>
                options.Parent.TraceId == root.TraceId ? ActivitySamplingResult.AllDataAndRecorded : ActivitySamplingResult.None,
            ActivityStopped = activity => reasons.Enqueue(activity.GetTagItem(MeshTags.Reason)),
        };
        ActivitySource.AddActivityListener(listener);
        var requests = 0;
        await _lab.AddAsync(http2: true, context =>
        {
            context.Response.StatusCode = Interlocked.Increment(ref requests) == 1 ? 503 : 200;
            return Task.CompletedTask;
        });
        _lab.Serve(FailureLab.Route with { Hedging = new Hedging(0, TimeSpan.FromSeconds(30), 2) });

        Assert.Empty(await _lab.Client.GetStringAsync("http://catalog/", Cancel));

        Assert.Equal(1, _lab.Decided(Decisions.Retry, "503"));
        Assert.Equal(["503", "first"], reasons.Order());
    }
}
