using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using Grpc.Core;
using Mesh.Config;
using Mesh.Telemetry;
using Mesh.Testing;
using Mesh.Traffic;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>Rate limits over mTLS and plaintext on real Kestrel; only the clock is ours.</summary>
public sealed class RateLimitTests : IDisposable
{
    private static readonly InboundLimits ThreeAnHour = new() { RateLimits = [new RateLimit("per-caller", 1, TimeSpan.FromHours(1), 3, RateLimitScope.Caller, null, [])] };
    // Clocks move by an hour here.
    private readonly TestCa _ca = new("cluster.local") { LeafLife = TimeSpan.FromDays(1) };
    private readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    [InlineData(null)]
    public async Task Http_OverTheLimit_Is429WithRetryAfterUntilTheTimeHasCome(string? version)
    {
        await using var app = await StartAsync(ThreeAnHour);
        using var client = app.Client(version);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal("done", await client.GetStringAsync(app.Url, Token));
        }

        _time.Advance(TimeSpan.FromMinutes(30));
        using (var refused = await client.GetAsync(app.Url, Token))
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
            Assert.Equal(TimeSpan.FromMinutes(30), refused.Headers.RetryAfter?.Delta);
            Assert.Equal("RateLimited", Assert.Single(refused.Headers.GetValues("mesh-error")));
            Assert.Equal("mesh: rate limit 'per-caller' is reached\n", await refused.Content.ReadAsStringAsync(Token));
        }

        Assert.Equal(3, app.Room.Entered);
        Assert.Equal(1, app.Decided(Decisions.RateLimit, "per-caller"));
        Assert.Equal("alive", await client.GetStringAsync($"http://{app.Address}/healthz", Token));
        _time.Advance(TimeSpan.FromMinutes(30));
        Assert.Equal("done", await client.GetStringAsync(app.Url, Token));
    }

    [Fact]
    public async Task Http_EachVerifiedCallerHasItsOwn_WhateverConnectionItUses()
    {
        await using var app = await StartAsync(ThreeAnHour);
        for (var i = 0; i < 3; i++)
        {
            // A new connection each time, and what a caller says of itself is not believed.
            using var web = app.Client("2.0");
            web.DefaultRequestHeaders.Add("x-forwarded-for", $"10.0.0.{i}");
            Assert.Equal("done", await web.GetStringAsync(app.Url, Token));
        }

        using var again = app.Client("1.1");
        using var other = app.Client("2.0", "other");
        using var plain = app.Client(null);
        Assert.Equal(HttpStatusCode.TooManyRequests, (await again.GetAsync(app.Url, Token)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await other.GetAsync(app.Url, Token)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await plain.GetAsync(app.Url, Token)).StatusCode);
    }

    [Fact]
    public async Task Http_PathSpelledAnotherWay_IsStillLimited()
    {
        var work = new RouteMatch(new StringMatcher(StringMatchKind.PathPrefix, "/work"), [], null);
        await using var app = await StartAsync(new InboundLimits { RateLimits = [new RateLimit("work", 1, TimeSpan.FromHours(1), 1, RateLimitScope.Shared, null, [work])] });
        using var client = app.Client("2.0");
        Assert.Equal("done", await client.GetStringAsync(app.Url, Token));

        foreach (var spelled in new[] { "/%77ork", "/./work", "/x/../work", "/work?a=b" })
        {
            var options = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
            using var response = await client.GetAsync(new Uri($"http://{app.Address}{spelled}", in options), Token);
            Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        }

        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync($"http://{app.Address}/", Token)).StatusCode);
    }

    [Fact]
    public async Task Http_Push_DoesNotFillTheLimitUp()
    {
        await using var app = await StartAsync(ThreeAnHour);
        using var client = app.Client("2.0");
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal("done", await client.GetStringAsync(app.Url, Token));
        }

        app.Publish(new InboundLimits { RateLimits = [.. ThreeAnHour.RateLimits] });

        Assert.Equal(HttpStatusCode.TooManyRequests, (await client.GetAsync(app.Url, Token)).StatusCode);
        app.Publish(null);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(app.Url, Token)).StatusCode);
    }

    [Fact]
    public async Task Grpc_OverTheLimit_IsResourceExhausted()
    {
        await using var app = await StartAsync(ThreeAnHour);
        using var client = app.Client("2.0");
        using var channel = app.Channel(client);
        var invoker = channel.CreateCallInvoker();
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal("done", await invoker.AsyncUnaryCall(WorkService.UnaryMethod, null, new CallOptions(cancellationToken: Token), "x"));
        }

        var unary = await Assert.ThrowsAsync<RpcException>(async () => await invoker.AsyncUnaryCall(WorkService.UnaryMethod, null, new CallOptions(cancellationToken: Token), "x"));
        using var stream = invoker.AsyncServerStreamingCall(WorkService.StreamMethod, null, new CallOptions(cancellationToken: Token), "x");
        var streaming = await Assert.ThrowsAsync<RpcException>(() => stream.ResponseStream.MoveNext(Token));

        Assert.All([unary, streaming], e => Assert.Equal((StatusCode.ResourceExhausted, "mesh: rate limit 'per-caller' is reached"), (e.StatusCode, e.Status.Detail)));
        Assert.Equal(2, app.Decided(Decisions.RateLimit, "per-caller"));
    }

    [Fact]
    [Trait("gRFC", "A6")]
    public async Task Grpc_OverTheLimit_SaysWhenToTryAgain()
    {
        await using var app = await StartAsync(new InboundLimits { RateLimits = [new RateLimit("größe 100 %", 1, TimeSpan.FromSeconds(1.5), 1, RateLimitScope.Shared, null, [])] });
        using var client = app.Client("2.0");
        Assert.Equal("done", await client.GetStringAsync(app.Url, Token));
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{app.Address}/test.Work/Unary") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = new ByteArrayContent([]) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");

        using var response = await client.SendAsync(request, Token);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/grpc", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal("8", Assert.Single(response.Headers.GetValues("grpc-status")));
        Assert.Equal("1500", Assert.Single(response.Headers.GetValues("grpc-retry-pushback-ms")));
        Assert.Equal("RateLimited", Assert.Single(response.Headers.GetValues("mesh-error")));
        Assert.Equal("mesh: rate limit 'größe 100 %' is reached", Uri.UnescapeDataString(Assert.Single(response.Headers.GetValues("grpc-message"))));
        Assert.Empty(await response.Content.ReadAsByteArrayAsync(Token));
    }

    [Fact]
    public async Task Http_ManyRefusals_AreOneLineInTheLogUntilItsTimeHasCome()
    {
        await using var app = await StartAsync(ThreeAnHour, services => services.AddFakeLogging());
        var log = app.App.Services.GetFakeLogCollector();
        using var client = app.Client("2.0");
        for (var i = 0; i < 20; i++)
        {
            (await client.GetAsync(app.Url, Token)).Dispose();
        }

        Assert.StartsWith("1 requests", Assert.Single(Lines()).Message, StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromSeconds(10));
        (await client.GetAsync(app.Url, Token)).Dispose();

        var lines = Lines();
        Assert.Equal(2, lines.Count);
        Assert.Equal("17 requests were answered 429 since the last such line: rate limit 'per-caller'. The last came from spiffe://cluster.local/ns/shop/sa/web", lines[1].Message);

        List<FakeLogRecord> Lines() => [.. log.GetSnapshot().Where(l => l.Id.Id == 3500)];
    }

    [Fact]
    public async Task Http_Refused_IsOnTheServersSpan()
    {
        var spans = new List<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Microsoft.AspNetCore",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = span =>
            {
                lock (spans)
                {
                    spans.Add(span);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        await using var app = await StartAsync(new InboundLimits { RateLimits = [new RateLimit("span-test", 1, TimeSpan.FromHours(1), 1, RateLimitScope.Shared, null, [])] });
        using var client = app.Client("2.0");
        (await client.GetAsync(app.Url, Token)).Dispose();
        (await client.GetAsync(app.Url, Token)).Dispose();

        await Eventually.Async(
            () =>
            {
                lock (spans)
                {
                    return spans.Any(s => Equals(s.GetTagItem(MeshTags.Reason), "span-test") && Equals(s.GetTagItem(MeshTags.Decision), Decisions.RateLimit));
                }
            },
            "the refusal is on its span");
    }

    private Task<LimitedApp> StartAsync(InboundLimits limits, Action<IServiceCollection>? services = null) => LimitedApp.StartAsync(_ca, limits, services: s =>
    {
        s.AddSingleton<TimeProvider>(_time);
        services?.Invoke(s);
    });
}
