using Grpc.Core;
using Mesh.ControlPlane.Xds;
using Mesh.Protos.Tap;
using Mesh.Spiffe;
using Mesh.Tap;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.ControlPlane.Tests.Tap;

/// <summary>A workload's real end of the tap stream, called at whichever replica it is told, without a network between.</summary>
internal sealed class AttendingWorkload : CallInvoker, IAsyncDisposable
{
    private readonly SpiffeId _id;
    private readonly TimeProvider _time;
    private readonly TapAttendance _attendance;
    private CancellationTokenSource _stream = new();

    public AttendingWorkload(FakeReplica replica, string account, TimeProvider time)
    {
        (Replica, _id, _time) = (replica, SpiffeId.Parse($"spiffe://cluster.local/ns/shop/sa/{account}"), time);
        Point = new TapPoint(time);
        _attendance = new TapAttendance(
            Point, new DenialReports(time), new TapAttendant($"{account}~1~shop", account, RefusesTaps: false), (_, _) => { }, _ => new(this), time, new Random(1), NullLogger<TapAttendance>.Instance);
        _attendance.Start();
    }

    public FakeReplica Replica { get; set; }

    public TapPoint Point { get; }

    /// <summary>Breaks its stream off, as a network does.</summary>
    public void Break()
    {
        var broken = Interlocked.Exchange(ref _stream, new CancellationTokenSource());
        broken.Cancel();
        broken.Dispose();
    }

    /// <summary>A call that ended, as its calls do. Nothing where it is not watched.</summary>
    public void See(string path)
    {
        foreach (var tap in Point.Taps ?? [])
        {
            if (tap.Wants(new TapFacts(Server: false, "pricing", "shop", "GET", path, 200, -1, Failed: false, TimeSpan.Zero), _time.GetTimestamp()))
            {
                Point.Offer(tap, new TapExchange(Server: false, _time.GetUtcNow(), TimeSpan.Zero) { PeerName = "pricing", PeerNamespace = "shop", Method = "GET", Path = path, Status = 200 });
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _attendance.DisposeAsync();
        _stream.Dispose();
    }

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        var replica = Replica;
        if (replica.IsAway)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "it is away"));
        }

        var ends = CancellationTokenSource.CreateLinkedTokenSource(_stream.Token, replica.Stopping.Token);
        Func<IAsyncStreamReader<TapReport>, IServerStreamWriter<TapOrder>, CancellationToken, Task> attend = async (reports, orders, ct) =>
        {
            using (ends)
            {
                await replica.Hub.AttendAsync(_id, reports, orders, ct);
            }
        };
        return InProcessStream<TRequest, TResponse>.Open((Func<IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, CancellationToken, Task>)(object)attend, ends.Token, options.CancellationToken);
    }

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();
}
