using System.Net;
using Grpc.Core;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http.Resilience;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Polly;
using Xunit;

namespace Mesh.Client.Tests.Coexistence;

/// <summary>Clients with resilience handlers of their own: how many attempts really arrive at a backend that always fails.</summary>
public sealed class ResilienceHandlerTests : IAsyncLifetime
{
    /// <summary>What the mesh does where the route says nothing: two retries.</summary>
    private const int MeshAttempts = 3;
    private readonly TestCa _ca = new("cluster.local");
    private Backend _backend = null!;
    private Backend _outside = null!;
    private MeshedProgram? _started;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private MeshedProgram Program => _started!;

    public async ValueTask InitializeAsync()
    {
        _backend = await Backend.StartAsync(new FixedIdentitySource(_ca.Identity("shop", "catalog")), Fail);
        _outside = await Backend.StartAsync(handler: Fail);
    }

    public async ValueTask DisposeAsync()
    {
        if (_started is not null)
        {
            await _started.DisposeAsync();
        }

        await _backend.DisposeAsync();
        await _outside.DisposeAsync();
        _ca.Dispose();
    }

    [Fact]
    public async Task Get_NoHandler_IsTheMeshsAttempts()
    {
        Start(_ => { });

        Assert.Equal(MeshAttempts, await AttemptsAsync());
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, MeshAttempts)]
    [InlineData(5, MeshAttempts)]
    public async Task Get_StandardHandler_YieldsAndNarrows(int retries, int attempts)
    {
        Start(services => services.AddHttpClient("shop").AddStandardResilienceHandler(o => Quick(o, retries)));

        Assert.Equal(attempts, await AttemptsAsync());
        Assert.DoesNotContain(Program.Logs.GetSnapshot(), r => r.Id.Id is 2401 or 2402);
    }

    [Fact]
    public async Task Get_StandardHandlerForAllClients_YieldsAndNarrows()
    {
        Start(services => services.ConfigureHttpClientDefaults(b => b.AddStandardResilienceHandler(o => Quick(o, 1))));

        Assert.Equal(2, await AttemptsAsync());
    }

    [Fact]
    public async Task Get_StandardHandlerTwice_DoesNotMultiplyEither()
    {
        Start(services =>
        {
            services.ConfigureHttpClientDefaults(b => b.AddStandardResilienceHandler(o => Quick(o, 4)));
            services.AddHttpClient("shop").AddStandardResilienceHandler(o => Quick(o, 1));
        });

        Assert.Equal(2, await AttemptsAsync());
    }

    [Fact]
    public async Task Get_StandardHandlerPerAuthority_YieldsAndNarrows()
    {
        Start(services => services.AddHttpClient("shop").AddStandardResilienceHandler(o => Quick(o, 1)).SelectPipelineByAuthority());

        Assert.Equal(2, await AttemptsAsync());
    }

    [Fact]
    public async Task Get_StandardHandlerIsAddedBeforeTheMesh_YieldsAndNarrows()
    {
        Start(services =>
        {
            var mesh = services.ToList();
            services.Clear();
            services.AddHttpClient("shop").AddStandardResilienceHandler(o => Quick(o, 1));
            mesh.ForEach(services.Add);
        });

        Assert.Equal(2, await AttemptsAsync());
    }

    [Fact]
    public async Task Get_StandardHedgingHandler_YieldsAndNarrows()
    {
        Start(services => services.AddHttpClient("shop").AddStandardHedgingHandler().Configure(o =>
        {
            o.Hedging.MaxHedgedAttempts = 1;
            o.Hedging.Delay = TimeSpan.Zero;
        }));

        Assert.Equal(2, await AttemptsAsync());
        Assert.DoesNotContain(Program.Logs.GetSnapshot(), r => r.Id.Id is 2401 or 2402);
    }

    [Fact]
    public async Task Get_ClientOwnsTheRetries_TheMeshMakesOneAttemptEach()
    {
        Start(services => services.AddHttpClient("shop").ConfigureMesh(o => o.RetryOwner = MeshRetryOwner.Client).AddStandardResilienceHandler(o => Quick(o, 4)));

        Assert.Equal(5, await AttemptsAsync());
    }

    [Fact]
    public async Task Get_HandMadeHandler_MultipliesAndSaysSoOnce()
    {
        Start(services => services.AddHttpClient("shop").AddResilienceHandler("mine", builder => builder.AddRetry(Quick(new HttpRetryStrategyOptions(), 3))));

        Assert.Equal(4 * MeshAttempts, await AttemptsAsync());
        Assert.Equal(8 * MeshAttempts, await AttemptsAsync());

        var maybe = Assert.Single(Program.Logs.GetSnapshot(), r => r.Id.Id == 2401);
        Assert.Equal(LogLevel.Warning, maybe.Level);
        Assert.Contains("'shop'", maybe.Message, StringComparison.Ordinal);
        Assert.Contains("ResilienceHandler", maybe.Message, StringComparison.Ordinal);
        var counted = Assert.Single(Program.Logs.GetSnapshot(), r => r.Id.Id == 2402);
        Assert.Contains("4 times", counted.Message, StringComparison.Ordinal);
        Assert.Contains("up to 12", counted.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_HandMadeHandlerOfAClientThatOwnsTheRetries_DoesNotMultiply()
    {
        Start(services => services.AddHttpClient("shop").ConfigureMesh(o => o.RetryOwner = MeshRetryOwner.Client)
            .AddResilienceHandler("mine", builder => builder.AddRetry(Quick(new HttpRetryStrategyOptions(), 3))));

        Assert.Equal(4, await AttemptsAsync());
        Assert.DoesNotContain(Program.Logs.GetSnapshot(), r => r.Id.Id is 2401 or 2402);
    }

    [Fact]
    public async Task Get_PollyPolicyHandler_MultipliesAndSaysSoOnce()
    {
        Start(services => services.AddHttpClient("shop").AddHttpMessageHandler(() => new Microsoft.Extensions.Http.PolicyHttpMessageHandler(sends: 2)));

        Assert.Equal(2 * MeshAttempts, await AttemptsAsync());

        Assert.Contains("PolicyHttpMessageHandler", Assert.Single(Program.Logs.GetSnapshot(), r => r.Id.Id == 2401).Message, StringComparison.Ordinal);
        Assert.Contains("up to 6", Assert.Single(Program.Logs.GetSnapshot(), r => r.Id.Id == 2402).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_HedgingHandlerWithRoutesOfItsOwn_KeepsThemAndIsWarnedOf()
    {
        Start(services => services.AddHttpClient("shop").AddStandardHedgingHandler(routing => routing.ConfigureOrderedGroups(groups => groups.Groups.Add(new UriEndpointGroup
        {
            Endpoints = { new WeightedUriEndpoint { Uri = new Uri("http://catalog/") } },
        }))));

        using var response = await Program.Client("shop").GetAsync("http://elsewhere.invalid/", Cancel);

        Assert.Equal("failing", await response.Content.ReadAsStringAsync(Cancel));
        Assert.True(_backend.Requests > 0);
        Assert.Single(Program.Logs.GetSnapshot(), r => r.Id.Id == 2401);
    }

    [Fact]
    public async Task Post_StandardHandlerRetriesIt_TheMeshDoesNot()
    {
        Start(services => services.AddHttpClient("shop").AddStandardResilienceHandler(o => Quick(o, 3)));

        using var response = await Program.Client("shop").PostAsync("http://catalog/", new StringContent("order"), Cancel);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(1, _backend.Requests);
    }

    [Fact]
    public async Task Send_HandlerNeverRetriesTheMethod_NorDoesTheMesh()
    {
        Start(services => services.AddHttpClient("shop").AddStandardResilienceHandler(o =>
        {
            Quick(o, 3);
#pragma warning disable EXTEXP0001 // what users call
            o.Retry.DisableForUnsafeHttpMethods();
#pragma warning restore EXTEXP0001
        }));

        using var put = await Program.Client("shop").PutAsync("http://catalog/", new StringContent("x"), Cancel);
        Assert.Equal(1, _backend.Requests);
        Assert.Equal(1 + MeshAttempts, await AttemptsAsync());
    }

    [Fact]
    public async Task Get_HostOutsideTheMesh_HandlerWorksAsBefore()
    {
        Start(services => services.AddHttpClient("shop").AddStandardResilienceHandler(o => Quick(o, 3)));

        using var response = await Program.Client("shop").GetAsync($"http://127.0.0.1:{_outside.Port}/", Cancel);

        Assert.Equal(4, _outside.Requests);
    }

    [Fact]
    public async Task Get_NameThatIsNoService_HandlerWorksFromTheFirstCallOn()
    {
        var own = new FailingPrimary();
        Start(services => services.AddHttpClient("shop").ConfigurePrimaryHttpMessageHandler(() => own).AddStandardResilienceHandler(o => Quick(o, 3)));

        using var response = await Program.Client("shop").GetAsync("http://no-such-service/", Cancel);

        Assert.Equal(4, own.Requests);
    }

    [Fact]
    public async Task Get_BreakerOpenedByAHostOutside_DoesNotStopTheMesh()
    {
        Start(services => services.AddHttpClient("shop").AddStandardResilienceHandler(o =>
        {
            Quick(o, 1);
            (o.CircuitBreaker.MinimumThroughput, o.CircuitBreaker.FailureRatio) = (2, 0.1);
        }));
        var client = Program.Client("shop");
        await Assert.ThrowsAsync<Polly.CircuitBreaker.BrokenCircuitException>(async () =>
        {
            for (var i = 0; i < 5; i++)
            {
                using var failed = await client.GetAsync($"http://127.0.0.1:{_outside.Port}/", Cancel);
            }
        });
        _backend.Handler = context => context.Response.WriteAsync("ok", context.RequestAborted);

        Assert.Equal("ok", await client.GetStringAsync("http://catalog/", Cancel));
    }

    [Fact]
    public async Task Get_TotalRequestTimeout_EndsTheCallInTheMesh()
    {
        Start(services => services.AddHttpClient("shop").AddStandardResilienceHandler(o =>
        {
            Quick(o, 3);
            (o.AttemptTimeout.Timeout, o.TotalRequestTimeout.Timeout) = (TimeSpan.FromMilliseconds(300), TimeSpan.FromMilliseconds(300));
        }));
        _backend.Handler = context => new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);

        using var response = await Program.Client("shop").GetAsync("http://catalog/", Cancel);

        Assert.Equal("TimedOut", Assert.Single(response.Headers.GetValues("mesh-error")));
    }

    [Fact]
    public async Task Get_RateLimiter_NarrowsTheCallsInFlight()
    {
        Start(services => services.AddHttpClient("shop").AddStandardResilienceHandler(o => Quick(o, 1).RateLimiter.DefaultRateLimiterOptions.PermitLimit = 1));
        var release = new TaskCompletionSource();
        _backend.Handler = _ => release.Task;
        var first = Program.Client("shop").GetAsync("http://catalog/", Cancel);
        await Eventually.Async(() => _backend.Requests == 1, "the first is in flight");

        using var second = await Program.Client("shop").GetAsync("http://catalog/", Cancel);
        release.SetResult();

        Assert.Equal("Overloaded", Assert.Single(second.Headers.GetValues("mesh-error")));
        Assert.Equal(HttpStatusCode.OK, (await first).StatusCode);
    }

    [Fact]
    public async Task GrpcUnary_StandardHandler_IsOneAttempt()
    {
        Start(services => services.AddGrpcClient<EchoClient>("echo", o => o.Address = new Uri("http://catalog")).AddStandardResilienceHandler(o => Quick(o, 3)));
        var client = Program.Services.GetRequiredService<Grpc.Net.ClientFactory.GrpcClientFactory>().CreateClient<EchoClient>("echo");

        var error = await Assert.ThrowsAsync<RpcException>(async () => await client.UnaryAsync("fail", Cancel));

        Assert.Equal(StatusCode.Internal, error.StatusCode);
        Assert.Equal(1, Program.Count(Mesh.Telemetry.MeshTags.ClientAttemptDuration));
    }

    private void Start(Action<IServiceCollection> configure)
    {
        _started = new MeshedProgram(_ca, configure);
        _started.Serve("catalog", [_backend.Endpoint]);
    }

    /// <summary>How many requests the backend has seen after one more call.</summary>
    private async Task<int> AttemptsAsync()
    {
        using var response = await Program.Client("shop").GetAsync("http://catalog/", Cancel);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        return _backend.Requests;
    }

    private static Task Fail(HttpContext context)
    {
        context.Response.StatusCode = 503;
        return context.Response.WriteAsync("failing");
    }

    private static HttpStandardResilienceOptions Quick(HttpStandardResilienceOptions options, int retries)
    {
        Quick(options.Retry, retries);
        return options;
    }

    private static HttpRetryStrategyOptions Quick(HttpRetryStrategyOptions options, int retries)
    {
        (options.MaxRetryAttempts, options.Delay, options.UseJitter, options.BackoffType) = (retries, TimeSpan.Zero, false, DelayBackoffType.Constant);
        return options;
    }

    private sealed class FailingPrimary : HttpMessageHandler
    {
        private int _requests;

        public int Requests => _requests;

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _requests);
            return Task.FromResult(new HttpResponseMessage(HttpStatusCode.ServiceUnavailable) { RequestMessage = request });
        }
    }

    /// <summary>What generated code would be.</summary>
    public sealed class EchoClient(CallInvoker invoker) : ClientBase<EchoClient>(invoker)
    {
        private readonly CallInvoker _invoker = invoker;

        public EchoClient()
            : this(null!)
        {
        }

        public Task<string> UnaryAsync(string text, CancellationToken cancellationToken) =>
            _invoker.AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: cancellationToken), text).ResponseAsync;

        protected override EchoClient NewInstance(ClientBaseConfiguration configuration) => throw new NotSupportedException();
    }
}
