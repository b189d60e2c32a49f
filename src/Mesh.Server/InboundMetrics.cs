using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using Mesh.Hosting;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Http;

namespace Mesh.Server;

/// <summary>Counts what this workload served. A connection keeps its series, so a request looks little up.</summary>
internal sealed class InboundMetrics(MetricAggregate aggregate, LocalNode node, IMeterFactory? meters = null)
{
    private const int Cancelled = 1;
    private const int Unknown = 2;
    private readonly InboundRoutes _routes = new();
    private readonly Histogram<double>? _rpc = meters?.Create(new MeterOptions(CounterTotals.MeterName)).CreateHistogram(GrpcTags.RpcServerCallDuration, "s", "Duration of an incoming RPC.", null, GrpcBuckets.Latency);
    private readonly Histogram<double>? _grpc = meters?.Create(new MeterOptions(CounterTotals.MeterName)).CreateHistogram(GrpcTags.ServerCallDuration, "s", "Duration of a gRPC call as this server saw it.", null, GrpcBuckets.Latency);

    /// <param name="span">Of the request; null when nobody traces.</param>
    public void Record(HttpContext context, MeshConnectionFeature connection, bool success, TimeSpan duration, Activity? span)
    {
        if (aggregate.IsOff)
        {
            return;
        }

        var route = _routes.Of(context);
        var series = connection.SeriesOf(route) ?? connection.Add(new InboundSeries(route));
        ref var counted = ref (success ? ref series.Success : ref series.Failure);
        counted ??= Series(connection, success ? MeshTags.Success : MeshTags.Failure, route);
        counted.Record(duration, span);
        if ((_rpc is { Enabled: true } || _grpc is { Enabled: true }) && InboundRoutes.IsGrpc(context.Request.ContentType))
        {
            RecordRpc(context, route.TrimStart('/'), duration);
        }
    }

    private void RecordRpc(HttpContext context, string method, TimeSpan duration)
    {
        var status = GrpcTags.NameOf(int.TryParse(InboundOutcome.GrpcStatus(context), CultureInfo.InvariantCulture, out var code) ? code : context.RequestAborted.IsCancellationRequested ? Cancelled : Unknown);
        // gRFC A66: a method that this server does not know is no name of anybody's.
        _grpc?.Record(duration.TotalSeconds, new(GrpcTags.Method, method.Length > 0 ? method : MeshTags.Other), new(GrpcTags.Status, status));
        if (_rpc is not { Enabled: true })
        {
            return;
        }

        var tags = new TagList { { GrpcTags.RpcSystem, "grpc" }, { GrpcTags.RpcMethod, method }, { GrpcTags.RpcStatus, status } };
        if (status != "OK")
        {
            tags.Add(GrpcTags.ErrorType, status);
        }

        _rpc.Record(duration.TotalSeconds, tags);
    }

    private MetricSeries Series(MeshConnectionFeature connection, string outcome, string route)
    {
        var peer = connection.Peer?.Id;
        return aggregate.Get(
            MeshTags.ServerCallDuration,
            new(MeshTags.Direction, MeshTags.Inbound),
            new(MeshTags.Source, peer is null ? MeshTags.Unmeshed : peer.ServiceAccount ?? peer.ToString()),
            new(MeshTags.SourceNamespace, peer?.Namespace ?? string.Empty),
            new(MeshTags.Destination, node.Workload),
            new(MeshTags.DestinationNamespace, node.Namespace),
            new(MeshTags.Outcome, outcome),
            new(MeshTags.Tls, connection.IsMeshTls ? "mesh" : "none"),
            new(MeshTags.Route, route),
            new(MeshTags.Endpoint, connection.Endpoint));
    }
}

/// <summary>The series of one connection's requests by one route.</summary>
internal sealed class InboundSeries(string route)
{
    public MetricSeries? Success;
    public MetricSeries? Failure;

    public string Route => route;
}
