using System.Net;
using System.Threading.Channels;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Xds;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Testing;

/// <summary>A control plane that says exactly what the test tells it to, also wrongly, over real h2c.</summary>
internal sealed class ScriptedAdsServer : IAdsConnector, IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly GrpcChannel _channel;
    private readonly Streams _streams;

    private ScriptedAdsServer(WebApplication app, Streams streams)
    {
        (_app, _streams) = (app, streams);
        Address = new Uri(app.Urls.First());
        _channel = GrpcChannel.ForAddress(Address, new GrpcChannelOptions { MaxReceiveMessageSize = null });
    }

    public Uri Address { get; }

    /// <summary>While set, connecting fails with this.</summary>
    public Exception? Unreachable { get; set; }

    public int Connects { get; private set; }

    public static async Task<ScriptedAdsServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(o => o.Listen(IPAddress.Loopback, 0, l => l.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc(o => o.MaxReceiveMessageSize = null);
        var streams = new Streams();
        builder.Services.AddSingleton(streams);
        var app = builder.Build();
        app.MapGrpcService<AdsService>();
        await app.StartAsync();
        return new ScriptedAdsServer(app, streams);
    }

    public ValueTask<CallInvoker> ConnectAsync(CancellationToken cancellationToken)
    {
        Connects++;
        return Unreachable is null ? ValueTask.FromResult(_channel.CreateCallInvoker()) : ValueTask.FromException<CallInvoker>(Unreachable);
    }

    /// <summary>The next stream that a client opens.</summary>
    /// <param name="limit">10 s when null; a client that is another program takes longer to start.</param>
    public Task<ScriptedStream> NextStreamAsync(TimeSpan? limit = null) => ScriptedStream.Within(_streams.Opened.Reader.ReadAsync().AsTask(), "a client opens a stream", limit);

    public async ValueTask DisposeAsync()
    {
        _streams.Stopping.Cancel();
        _channel.Dispose();
        await _app.DisposeAsync();
        _streams.Stopping.Dispose();
    }

    internal sealed class Streams
    {
        public Channel<ScriptedStream> Opened { get; } = Channel.CreateUnbounded<ScriptedStream>();

        public CancellationTokenSource Stopping { get; } = new();
    }

    internal sealed class AdsService(Streams streams) : AggregatedDiscoveryService.AggregatedDiscoveryServiceBase
    {
        public override Task StreamAggregatedResources(
            IAsyncStreamReader<DiscoveryRequest> requestStream, IServerStreamWriter<DiscoveryResponse> responseStream, ServerCallContext context) =>
            new SotwStream(responseStream).RunAsync(requestStream, streams, context.CancellationToken);

        public override Task DeltaAggregatedResources(
            IAsyncStreamReader<DeltaDiscoveryRequest> requestStream, IServerStreamWriter<DeltaDiscoveryResponse> responseStream, ServerCallContext context) =>
            new DeltaStream(responseStream).RunAsync(requestStream, streams, context.CancellationToken);
    }
}

/// <summary>One stream of a client, as the scripted server sees it.</summary>
internal abstract class ScriptedStream
{
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends the stream, with a status if wanted.</summary>
    public void End(StatusCode status = StatusCode.OK, string detail = "")
    {
        if (status == StatusCode.OK)
        {
            _end.TrySetResult();
        }
        else
        {
            _end.TrySetException(new RpcException(new Status(status, detail)));
        }
    }

    internal static async Task<T> Within<T>(Task<T> task, string what, TimeSpan? limit = null)
    {
        var longest = limit ?? TimeSpan.FromSeconds(10);
        try
        {
            return await task.WaitAsync(longest);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"After {longest.TotalSeconds:0} s still not: {what}.");
        }
    }

    protected async Task ServeAsync<T>(IAsyncStreamReader<T> requests, ChannelWriter<T> seen, ScriptedAdsServer.Streams streams, CancellationToken cancelled)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancelled, streams.Stopping.Token);
        streams.Opened.Writer.TryWrite(this);
        var reading = ReadAsync();
        await Task.WhenAny(reading, _end.Task);

        // Kestrel uses the stream's objects again: a read that outlives its call would eat the next call's bytes.
        await both.CancelAsync();
        await reading;
        if (_end.Task.IsCompleted)
        {
            await _end.Task;
        }

        async Task ReadAsync()
        {
            try
            {
                while (await requests.MoveNext(both.Token))
                {
                    seen.TryWrite(requests.Current);
                }
            }
            catch (Exception e) when (e is OperationCanceledException or IOException or RpcException)
            {
                // The client went away, or the test is over.
            }

            seen.TryComplete();
        }
    }
}

/// <summary>A state-of-the-world stream.</summary>
internal sealed class SotwStream(IServerStreamWriter<DiscoveryResponse> responses) : ScriptedStream
{
    private readonly Channel<DiscoveryRequest> _requests = Channel.CreateUnbounded<DiscoveryRequest>();

    /// <summary>The next request, of any type.</summary>
    public Task<DiscoveryRequest> NextAsync() => Within(_requests.Reader.ReadAsync().AsTask(), "the client sends a request");

    /// <summary>The next request of a type; those of others are skipped.</summary>
    public async Task<DiscoveryRequest> NextAsync(string typeUrl)
    {
        while (true)
        {
            if (await NextAsync() is var request && request.TypeUrl == typeUrl)
            {
                return request;
            }
        }
    }

    /// <summary>A request that already came; false when none is waiting.</summary>
    public bool TryNext(out DiscoveryRequest? request) => _requests.Reader.TryRead(out request);

    public Task SendAsync(DiscoveryResponse response) => responses.WriteAsync(response);

    internal Task RunAsync(IAsyncStreamReader<DiscoveryRequest> requests, ScriptedAdsServer.Streams streams, CancellationToken cancelled) =>
        ServeAsync(requests, _requests.Writer, streams, cancelled);
}

/// <summary>A delta stream.</summary>
internal sealed class DeltaStream(IServerStreamWriter<DeltaDiscoveryResponse> responses) : ScriptedStream
{
    private readonly Channel<DeltaDiscoveryRequest> _requests = Channel.CreateUnbounded<DeltaDiscoveryRequest>();

    /// <summary>The next request, of any type.</summary>
    public Task<DeltaDiscoveryRequest> NextAsync() => Within(_requests.Reader.ReadAsync().AsTask(), "the client sends a request");

    /// <summary>The next request of a type; those of others are skipped.</summary>
    public async Task<DeltaDiscoveryRequest> NextAsync(string typeUrl)
    {
        while (true)
        {
            if (await NextAsync() is var request && request.TypeUrl == typeUrl)
            {
                return request;
            }
        }
    }

    public bool TryNext(out DeltaDiscoveryRequest? request) => _requests.Reader.TryRead(out request);

    public Task SendAsync(DeltaDiscoveryResponse response) => responses.WriteAsync(response);

    internal Task RunAsync(IAsyncStreamReader<DeltaDiscoveryRequest> requests, ScriptedAdsServer.Streams streams, CancellationToken cancelled) =>
        ServeAsync(requests, _requests.Writer, streams, cancelled);
}
