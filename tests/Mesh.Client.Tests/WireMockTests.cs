using System.Net;
using Mesh.Config;
using Mesh.Telemetry;
using Mesh.Testing;
using WireMock.RequestBuilders;
using WireMock.ResponseBuilders;
using WireMock.Server;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>WireMock plays the HTTP upstream that is neither meshed nor ours: the mesh knows its endpoint, without TLS. Each test says what it saw and what the caller got.</summary>
public sealed class WireMockTests : IAsyncLifetime
{
    private const string Cluster = "outbound|80||partner.shop.svc.cluster.local";
    // Long enough for any attempt that is not made to wait, also on a busy machine.
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(1500);
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(30);
    private readonly TestCa _ca = new("cluster.local");
    private readonly WireMockServer _partner = WireMockServer.Start();
    private readonly CancellationTokenSource _over = new();
    private MeshedProgram _program = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private int Seen => _partner.LogEntries.Count;

    public ValueTask InitializeAsync()
    {
        _program = new MeshedProgram(_ca);
        Serve(new RouteAction.Forward([new(Cluster, 1)]));
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _program.DisposeAsync();
        await _over.CancelAsync();
        _partner.Stop();
        _partner.Dispose();
        _over.Dispose();
        _ca.Dispose();
    }

    [Theory]
    [InlineData("GET", 503, 2, 200)]
    [InlineData("PUT", 502, 2, 200)]
    [InlineData("DELETE", 504, 2, 200)]
    [InlineData("POST", 503, 1, 503)]
    [InlineData("PATCH", 503, 1, 503)]
    [InlineData("GET", 500, 1, 500)]
    [InlineData("GET", 404, 1, 404)]
    public async Task Send_FailsOnceThenWorks_IsTriedAgainOnlyWhereThatIsSafe(string method, int failure, int seen, int got)
    {
        Scenario(Response.Create().WithStatusCode(failure), Response.Create().WithBody("recovered"));
        using var request = new HttpRequestMessage(new HttpMethod(method), "http://partner/orders");
        if (method is "PUT" or "POST" or "PATCH")
        {
            request.Content = new StringContent("an order");
        }

        using var response = await _program.Client().SendAsync(request, Cancel);

        Assert.Equal((got, seen), ((int)response.StatusCode, Seen));
        Assert.All(_partner.LogEntries, e => Assert.Equal(request.Content is null ? "" : "an order", e.RequestMessage!.Body ?? ""));
    }

    [Fact]
    public async Task Get_AlwaysFails_GivesTheLastAnswerAfterThreeAttempts()
    {
        _partner.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(503).WithHeader("x-why", "maintenance").WithBody("down"));

        using var response = await _program.Client().GetAsync("http://partner/", Cancel);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "down", 3), (response.StatusCode, await response.Content.ReadAsStringAsync(Cancel), Seen));
        Assert.Equal("maintenance", Assert.Single(response.Headers.GetValues("x-why")));
        Assert.False(response.Headers.Contains("mesh-error"));
    }

    [Fact]
    public async Task Get_RetryAfter_IsWaitedFor()
    {
        Scenario(Response.Create().WithStatusCode(503).WithHeader("Retry-After", "1"), Response.Create().WithBody("recovered"));

        Assert.Equal("recovered", await _program.Client().GetStringAsync("http://partner/", Cancel));

        var times = _partner.LogEntries.Select(e => e.RequestMessage!.DateTime).Order().ToArray();
        Assert.Equal(2, times.Length);
        Assert.True(times[1] - times[0] >= TimeSpan.FromMilliseconds(990), $"tried again after {times[1] - times[0]}, asked for was 1 s");
    }

    [Fact]
    public async Task Get_RetryAfterIsLongerThanTheCallMayTake_IsNotWaitedFor()
    {
        Serve(new RouteAction.Forward([new(Cluster, 1)]) { Timeout = TimeSpan.FromSeconds(20) });
        Scenario(Response.Create().WithStatusCode(503).WithHeader("Retry-After", "3600"), Response.Create().WithBody("recovered"));

        using var response = await _program.Client().GetAsync("http://partner/", Cancel);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, 1), (response.StatusCode, Seen));
        Assert.Equal(TimeSpan.FromHours(1), response.Headers.RetryAfter!.Delta);
    }

    [Fact]
    public async Task Get_FirstAnswerIsLaterThanAnAttemptMayTake_IsTriedAgain()
    {
        Serve(Retrying(perTry: Soon));
        var asked = 0;
        _partner.Given(Request.Create()).RespondWith(Response.Create().WithCallback(async _ =>
        {
            var first = Interlocked.Increment(ref asked) == 1;
            await WaitAsync(first ? Hang : TimeSpan.Zero);
            return new WireMock.ResponseMessage { StatusCode = first ? 500 : 200 };
        }));

        using var response = await _program.Client().GetAsync("http://partner/", Cancel);

        Assert.Equal((HttpStatusCode.OK, 2), (response.StatusCode, asked));
    }

    [Fact]
    public async Task Get_FixedDelayOnEveryAnswer_Is504AfterAllAttempts()
    {
        Serve(Retrying(perTry: Soon));
        _partner.Given(Request.Create()).RespondWith(Response.Create().WithBody("late").WithDelay(TimeSpan.FromSeconds(3)));

        using var response = await _program.Client().GetAsync("http://partner/", Cancel);

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        Assert.Equal("TimedOut", Assert.Single(response.Headers.GetValues("mesh-error")));
        await Eventually.Async(() => Seen == 3, "each attempt arrived once");
    }

    [Fact]
    public async Task Get_RandomDelaysWithinTheLimit_AreNoFailures()
    {
        Serve(Retrying(perTry: TimeSpan.FromSeconds(20)));
        _partner.Given(Request.Create()).RespondWith(Response.Create().WithBody("ok").WithRandomDelay(0, 40));
        var client = _program.Client();

        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => client.GetStringAsync("http://partner/", Cancel)));

        Assert.All(answers, a => Assert.Equal("ok", a));
        Assert.Equal(40, Seen);
    }

    [Fact]
    public async Task Get_EmptyResponse_IsAnEmptyAnswerAndNotTriedAgain()
    {
        _partner.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(200).WithBody("never sent").WithFault(FaultType.EMPTY_RESPONSE));

        using var response = await _program.Client().GetAsync("http://partner/", Cancel);

        Assert.Equal((HttpStatusCode.OK, "", 1), (response.StatusCode, await response.Content.ReadAsStringAsync(Cancel), Seen));
    }

    [Fact]
    public async Task Get_MalformedResponse_NeverHangsNorIsTriedAgainOnceItsHeadersAreThere()
    {
        _partner.Given(Request.Create()).RespondWith(Response.Create().WithStatusCode(200).WithBody("this body is cut").WithHeader("Content-Length", "16").WithFault(FaultType.MALFORMED_RESPONSE_CHUNK));

        // The headers promise what the body does not keep: the caller hears of it, or gets what was sent.
        var error = await Record.ExceptionAsync(() => _program.Client().GetByteArrayAsync("http://partner/", Cancel));

        Assert.True(error is null or HttpRequestException, error?.ToString());
        Assert.Equal(1, Seen);
    }

    [Fact]
    public async Task Get_BodyDribbles_IdleTimeoutSparesItWhileBytesCome()
    {
        Serve(new RouteAction.Forward([new(Cluster, 1)]) { IdleTimeout = TimeSpan.FromSeconds(10) });
        Dribble(5, silence: TimeSpan.FromMilliseconds(50));

        Assert.Equal("0;1;2;3;4;", await _program.Client().GetStringAsync("http://partner/", Cancel));
        Assert.Equal(1, Seen);
    }

    [Fact]
    public async Task Get_BodyStallsAfterItsFirstBytes_IdleTimeoutBreaksItOff()
    {
        Serve(new RouteAction.Forward([new(Cluster, 1)]) { IdleTimeout = Soon });
        Dribble(5, silence: Hang);
        using var response = await _program.Client().GetAsync("http://partner/", HttpCompletionOption.ResponseHeadersRead, Cancel);

        var error = await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsStringAsync(Cancel));

        Assert.True(error.GetBaseException() is TimeoutException or HttpIOException, error.ToString());
        await Eventually.Async(() => _program.Count(MeshTags.ClientCallDuration, (MeshTags.Outcome, MeshTags.Failure)) == 1, "the call counts as failed");
    }

    private static RouteAction.Forward Retrying(TimeSpan perTry) => new([new(Cluster, 1)])
    {
        Retry = new RetryPolicy(RetryOn.GatewayError | RetryOn.Reset, 2, perTry, TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(2), []),
    };

    private void Serve(RouteAction.Forward action) => _program.Serve("partner", [new Mesh.Config.Endpoint("127.0.0.1", _partner.Port, 1, true)], action);

    /// <summary>The first answer, then the second for ever.</summary>
    private void Scenario(IResponseBuilder first, IResponseBuilder then)
    {
        _partner.Given(Request.Create()).InScenario("recovery").WillSetStateTo("up").RespondWith(first);
        _partner.Given(Request.Create()).InScenario("recovery").WhenStateIs("up").RespondWith(then);
    }

    /// <summary>What the partner takes its time for; at the end of the test it does not.</summary>
    private async Task WaitAsync(TimeSpan time)
    {
        try
        {
            await Task.Delay(time, TimeProvider.System, _over.Token);
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }

    /// <summary>A chunk at a time, with silence between.</summary>
    private void Dribble(int chunks, TimeSpan silence) => _partner.Given(Request.Create()).RespondWith(Response.Create().WithSseBody(async (_, queue) =>
    {
        for (var i = 0; i < chunks; i++)
        {
            queue.Write($"{i};");
            await WaitAsync(silence);
        }

        queue.Close();
    }));
}
