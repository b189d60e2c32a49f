using System.Buffers;
using System.Buffers.Binary;
using Google.Protobuf;
using Mesh.Protos.Orca;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Mesh.Server;

/// <summary>Serves <c>xds.service.orca.v3.OpenRcaService</c> beside the app: load reports on a stream of their own (gRFC A51). An app that serves it itself is left alone.</summary>
/// <remarks>Ends when the host stops, so that it holds up no shutdown.</remarks>
internal sealed class LoadStream(MeshLoadReporter reporter, MeshGate gate, IServiceProvider services)
{
    public const string Path = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";

    // Tells almost every other path at a glance.
    private const int PathLength = 53;

    // gRPC codes.
    private const int Ok = 0;
    private const int InvalidArgument = 3;
    private const int Unavailable = 14;
    private const int FrameHeaderBytes = 5;
    private const int MaxRequestBytes = 4096;
    private static readonly TimeSpan DefaultInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ShortestInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestInterval = TimeSpan.FromHours(1);
    private readonly Lazy<bool> _isTheApps = new(() => services.GetService<EndpointDataSource>()?.Endpoints.OfType<RouteEndpoint>()
        .Any(e => string.Equals(e.RoutePattern.RawText?.TrimStart('/'), Path[1..], StringComparison.Ordinal)) ?? false);

    /// <summary>True for a request that is ours to serve.</summary>
    public bool Takes(HttpContext context, MeshConnectionFeature connection) =>
        context.Request.Path.Value is { Length: PathLength } path && path == Path
        && HttpProtocol.IsHttp2(context.Request.Protocol) && HttpMethods.IsPost(context.Request.Method)
        && (connection.Peer is not null || gate.ReportsLoadToAll) && !_isTheApps.Value;

    public async Task ServeAsync(HttpContext context)
    {
        context.Response.ContentType = "application/grpc";
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping);
        var status = Ok;
        try
        {
            if (await ReadIntervalAsync(context.Request, stop.Token).ConfigureAwait(false) is { } interval)
            {
                // The first at once: a caller that has just come need not wait an interval to weigh us.
                using var timer = new PeriodicTimer(interval, gate.Time);
                do
                {
                    await WriteAsync(context.Response, reporter.Current().Bytes, stop.Token).ConfigureAwait(false);
                }
                while (await timer.WaitForNextTickAsync(stop.Token).ConfigureAwait(false));
            }
            else
            {
                status = InvalidArgument;
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            if (context.RequestAborted.IsCancellationRequested)
            {
                return;
            }

            status = Unavailable;
        }

        var number = status.ToString(System.Globalization.CultureInfo.InvariantCulture);
        if (context.Response.HasStarted)
        {
            context.Features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers["grpc-status"] = number;
        }
        else
        {
            context.Response.Headers["grpc-status"] = number;
        }
    }

    /// <summary>Null when what came is no OrcaLoadReportRequest.</summary>
    private static async Task<TimeSpan?> ReadIntervalAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        var frame = await request.BodyReader.ReadAtLeastAsync(FrameHeaderBytes, cancellationToken).ConfigureAwait(false);
        if (frame.Buffer.Length < FrameHeaderBytes)
        {
            return null;
        }

        var header = frame.Buffer.Slice(0, FrameHeaderBytes).ToArray();
        var length = BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(1));
        if (header[0] != 0 || length > MaxRequestBytes)
        {
            return null;
        }

        request.BodyReader.AdvanceTo(frame.Buffer.Start);
        frame = await request.BodyReader.ReadAtLeastAsync(FrameHeaderBytes + (int)length, cancellationToken).ConfigureAwait(false);
        if (frame.Buffer.Length < FrameHeaderBytes + length)
        {
            return null;
        }

        try
        {
            var asked = OrcaLoadReportRequest.Parser.ParseFrom(frame.Buffer.Slice(FrameHeaderBytes, length).ToArray()).ReportInterval;
            var ticks = asked is null ? DefaultInterval.Ticks : ((double)asked.Seconds * TimeSpan.TicksPerSecond) + (asked.Nanos / 100.0);
            return TimeSpan.FromTicks((long)Math.Clamp(ticks, ShortestInterval.Ticks, LongestInterval.Ticks));
        }
        catch (InvalidProtocolBufferException)
        {
            return null;
        }
        finally
        {
            request.BodyReader.AdvanceTo(frame.Buffer.End);
        }
    }

    private static async Task WriteAsync(HttpResponse response, byte[] message, CancellationToken cancellationToken)
    {
        var frame = response.BodyWriter.GetMemory(FrameHeaderBytes + message.Length);
        frame.Span[0] = 0;
        BinaryPrimitives.WriteInt32BigEndian(frame.Span[1..], message.Length);
        message.CopyTo(frame.Span[FrameHeaderBytes..]);
        response.BodyWriter.Advance(FrameHeaderBytes + message.Length);
        await response.BodyWriter.FlushAsync(cancellationToken).ConfigureAwait(false);
    }
}
