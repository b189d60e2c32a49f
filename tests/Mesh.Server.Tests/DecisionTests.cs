using System.Collections.Concurrent;
using System.Diagnostics;
using Grpc.Core;
using Mesh.Config;
using Mesh.Telemetry;
using Mesh.Testing;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>What a server refuses is counted once, with its reason, and is on the request's span: over every protocol.</summary>
public sealed class DecisionTests : IDisposable
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly ConcurrentQueue<Activity> _spans = [];
    private readonly ActivityListener _listener;
    private readonly Activity _root = new Activity("test").SetIdFormat(ActivityIdFormat.W3C);

    public DecisionTests()
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Microsoft.AspNetCore",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            // Spans of other tests are seen too: ours are of the test's trace.
            ActivityStopped = _spans.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
        _root.Start();
    }

    public static TheoryData<string> Protocols => ["http1", "http2", "unary", "stream"];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _root.Dispose();
        _listener.Dispose();
        _ca.Dispose();
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task RateLimit_IsCountedAndOnTheSpan(string protocol)
    {
        const string name = "per-hour";
        await using var app = await LimitedApp.StartAsync(_ca, new InboundLimits { RateLimits = [new RateLimit(name, 1, TimeSpan.FromHours(1), 1, RateLimitScope.Shared, null, [])] });
        using var client = app.Client(protocol == "http1" ? null : "2.0");

        Assert.True(await CallAsync(app, client, protocol));
        Assert.False(await CallAsync(app, client, protocol));

        Assert.Equal(1, app.Decided(Decisions.RateLimit, name));
        await OnSpanAsync(Decisions.RateLimit);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Shed_IsCountedAndOnTheSpan(string protocol)
    {
        await using var app = await LimitedApp.StartAsync(_ca, new InboundLimits { Concurrency = new ServerConcurrency(1, 0, TimeSpan.FromSeconds(1)) });
        using var client = app.Client(protocol == "http1" ? null : "2.0");
        app.Room.Close();
        var inside = CallAsync(app, client, protocol);
        await Eventually.Async(() => app.Room.Inside == 1, "the first is inside");

        Assert.False(await CallAsync(app, client, protocol));

        Assert.Equal(1, app.Decided(Decisions.Shed));
        await OnSpanAsync(Decisions.Shed);
        app.Room.Open();
        Assert.True(await inside);
    }

    private Task OnSpanAsync(string decision) => Eventually.Async(
        () => _spans.Count(s => Equals(s.GetTagItem(MeshTags.Decision), decision) && s.TraceId == _root.TraceId) == 1, $"{decision} is on the span of the refused request alone");

    /// <returns>False when it was refused.</returns>
    private async Task<bool> CallAsync(LimitedApp app, HttpClient client, string protocol)
    {
        Activity.Current = _root;
        if (protocol.StartsWith("http", StringComparison.Ordinal))
        {
            using var response = await client.GetAsync(app.Url, Token);
            return response.IsSuccessStatusCode;
        }

        using var channel = app.Channel(client);
        var (invoker, options) = (channel.CreateCallInvoker(), new CallOptions(cancellationToken: Token));
        try
        {
            if (protocol == "unary")
            {
                return await invoker.AsyncUnaryCall(WorkService.UnaryMethod, null, options, "x") == "done";
            }

            using var stream = invoker.AsyncServerStreamingCall(WorkService.StreamMethod, null, options, "x");
            var last = string.Empty;
            await foreach (var text in stream.ResponseStream.ReadAllAsync(Token))
            {
                last = text;
            }

            return last == "done";
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.ResourceExhausted)
        {
            return false;
        }
    }
}
