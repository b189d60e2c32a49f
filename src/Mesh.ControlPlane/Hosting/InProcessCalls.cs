using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tap;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Xds;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Protos.Otlp;
using Mesh.Protos.Tap;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Hosting;

/// <summary>Calls of the own process to its control plane: the same sessions and readers as over the network, reached without socket, TLS and token.</summary>
/// <param name="services">The inner host's.</param>
/// <param name="id">Who calls. There is nothing to prove: the process could sign itself any identity.</param>
internal sealed class InProcessCalls(IServiceProvider services, SpiffeId id) : CallInvoker
{
    private const string Address = "in process";

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options)
    {
        if (typeof(TRequest) == typeof(TapReport))
        {
            var hub = services.GetRequiredService<TapHub>();
            Func<IAsyncStreamReader<TapReport>, IServerStreamWriter<TapOrder>, CancellationToken, Task> attend =
                (reports, orders, cancellationToken) => hub.AttendAsync(id, reports, orders, cancellationToken);
            return Open<TRequest, TResponse>(attend, options);
        }

        var parts = services.GetRequiredService<AdsParts>();
        object session = typeof(TRequest) == typeof(DeltaDiscoveryRequest) ? new DeltaSession(parts, id, null, Address)
            : typeof(TRequest) == typeof(DiscoveryRequest) ? new SotwSession(parts, id, null, Address)
            : throw NotServed(method);
        return Open<TRequest, TResponse>((Func<IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, CancellationToken, Task>)((AdsSession<TRequest, TResponse>)session).RunAsync, options);
    }

    private AsyncDuplexStreamingCall<TRequest, TResponse> Open<TRequest, TResponse>(object serve, CallOptions options)
        where TRequest : class
        where TResponse : class =>
        InProcessStream<TRequest, TResponse>.Open(
            (Func<IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, CancellationToken, Task>)serve, services.GetRequiredService<Stopping>().Token, options.CancellationToken);

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
    {
        object response = request switch
        {
            ExportMetricsServiceRequest export => services.GetRequiredService<MetricsIntake>().Take(export, id, ReportNote.Of(h => options.Headers?.GetValue(h), CancellationToken.None)),
            ExportTraceServiceRequest export => services.GetRequiredService<TraceIntake>().Take(export, id),
            _ => throw NotServed(method),
        };
        return new AsyncUnaryCall<TResponse>(Task.FromResult((TResponse)response), Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], () => { });
    }

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw NotServed(method);

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        throw NotServed(method);

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options) =>
        throw NotServed(method);

    private static RpcException NotServed(IMethod method) => new(new Status(StatusCode.Unimplemented, $"'{method.FullName}' is not served inside the process."));
}
