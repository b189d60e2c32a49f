using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tap;
using Mesh.ControlPlane.Xds;
using Mesh.Protos.Tap;
using Mesh.Spiffe;
using Microsoft.Extensions.DependencyInjection;

namespace Mesh.ControlPlane.Tests.Tap;

/// <summary>A replica with what it serves of taps, called without a network; who calls it is a replica if the test says so.</summary>
internal sealed class FakeReplica : CallInvoker, IReplicaPeers
{
    private readonly TapReplicasService _service;

    public FakeReplica(string name, TimeProvider? time = null)
    {
        time ??= TimeProvider.System;
        Own = name;
        Denials = new DenialStore(time);
        Hub = new TapHub(Models, Denials, time);
        _service = new TapReplicasService(Hub, Denials, Stopping, time, new ServiceCollection().AddSingleton<IReplicaPeers>(this).BuildServiceProvider());
        Models.Publish(new MeshModel());
    }

    public string Own { get; }

    public ModelStore Models { get; } = new();

    public Stopping Stopping { get; } = new();

    public DenialStore Denials { get; }

    public TapHub Hub { get; }

    public bool IsAway { get; set; }

    public bool TakesAnybody { get; set; }

    public List<ReplicaPeer> Peers { get; } = [];

    public IReadOnlyList<ReplicaPeer> Others => Peers;

    public bool IsReplica(Metadata requestHeaders) => !TakesAnybody;

    /// <summary>A data plane attends there.</summary>
    public async Task<AsyncDuplexStreamingCall<TapReport, TapOrder>> AttendAsync(string account)
    {
        var id = SpiffeId.Parse($"spiffe://cluster.local/ns/shop/sa/{account}");
        var call = InProcessStream<TapReport, TapOrder>.Open((reports, orders, ct) => Hub.AttendAsync(id, reports, orders, ct), Stopping.Token, Xunit.TestContext.Current.CancellationToken);
        await call.RequestStream.WriteAsync(new TapReport { Hello = new Hello { NodeId = $"{account}~1~shop", Workload = account } }, Xunit.TestContext.Current.CancellationToken);
        return call;
    }

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        if (IsAway)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "it is away"));
        }

        Func<IAsyncStreamReader<WatchAsked>, IServerStreamWriter<WatchSeen>, CancellationToken, Task> watch = (asked, seen, ct) => _service.Watch(asked, seen, new Context(ct));
        return InProcessStream<TRequest, TResponse>.Open((Func<IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, CancellationToken, Task>)(object)watch, Stopping.Token, options.CancellationToken);
    }

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        var context = new Context(options.CancellationToken);
        var answer = IsAway ? Task.FromException<TResponse>(new RpcException(new Status(StatusCode.Unavailable, "it is away")))
            : request is Hurry hurry ? (Task<TResponse>)(object)_service.HurryAll(hurry, context)
            : (Task<TResponse>)(object)_service.Denials((DenialsAsked)(object)request, context);
        return new AsyncUnaryCall<TResponse>(answer, Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], () => { });
    }

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

    private sealed class Context(CancellationToken cancellationToken) : ServerCallContext
    {
        protected override string MethodCore => string.Empty;

        protected override string HostCore => string.Empty;

        protected override string PeerCore => string.Empty;

        protected override DateTime DeadlineCore => DateTime.MaxValue;

        protected override Metadata RequestHeadersCore { get; } = [];

        protected override CancellationToken CancellationTokenCore => cancellationToken;

        protected override Metadata ResponseTrailersCore { get; } = [];

        protected override Status StatusCore { get; set; }

        protected override WriteOptions? WriteOptionsCore { get; set; }

        protected override AuthContext AuthContextCore { get; } = new(null, []);

        protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) => throw new NotSupportedException();

        protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => Task.CompletedTask;
    }
}
