using System.Net;
using System.Net.Sockets;
using System.Text;
using Mesh.Balancing;
using Mesh.Config;
using Mesh.Identity;

namespace Mesh.Outbound;

/// <summary>Asks one endpoint how it is, over its own connections and so with mesh TLS where it has that.</summary>
internal sealed class HealthProbes(IEndpointTransport transport, IWorkloadIdentitySource identities, TimeProvider time)
{
    private const string UserAgent = "mesh-health-check";

    // grpc.health.v1.HealthCheckResponse.ServingStatus.
    private const ulong Serving = 1;
    private const int MaxAnswerBytes = 4096;
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromDays(1);
    private static readonly ProbeResult NoIdentity = new(ProbeEnd.NotSent, "this workload has no certificate yet");

    public async Task<ProbeResult> ProbeAsync(OutboundEndpoint endpoint, HealthCheck check, CancellationToken cancellationToken)
    {
        var timeout = check.Timeout < LongestTimeout ? check.Timeout : LongestTimeout;
        using var timed = new CancellationTokenSource(timeout, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timed.Token);
        try
        {
            return await (check.Probe switch
            {
                HealthProbe.Http http => HttpAsync(endpoint, http, linked.Token),
                HealthProbe.Grpc grpc => GrpcAsync(endpoint, grpc, linked.Token),
                _ => TcpAsync(endpoint, linked.Token),
            }).ConfigureAwait(false);
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        catch (Exception) when (timed.IsCancellationRequested)
        {
            return new(ProbeEnd.Bad, $"no answer within {timeout.TotalSeconds:0.###} s");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or InvalidDataException)
        {
            return Failed(e);
        }
    }

    private static async Task<ProbeResult> HttpAsync(OutboundEndpoint endpoint, HealthProbe.Http probe, CancellationToken cancellationToken)
    {
        if (endpoint.TryAcquire(http1Only: false) is not { } handler)
        {
            return NoIdentity;
        }

        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{probe.Host ?? Authority(endpoint)}{probe.Path}");
            request.Headers.TryAddWithoutValidation("User-Agent", UserAgent);
            if (endpoint.Config.SpeaksHttp2)
            {
                (request.Version, request.VersionPolicy) = (HttpVersion.Version20, HttpVersionPolicy.RequestVersionExact);
            }

            using var response = await handler.SendAsync(request, cancellationToken).ConfigureAwait(false);
            var status = (int)response.StatusCode;
            var good = probe.Statuses.Count == 0 ? status is >= 200 and < 300 : probe.Statuses.Any(s => status >= s.Start && status < s.End);
            return new(good ? ProbeEnd.Good : ProbeEnd.Bad, $"GET {probe.Path} was answered with {status}");
        }
        finally
        {
            handler.Release();
        }
    }

    private static async Task<ProbeResult> GrpcAsync(OutboundEndpoint endpoint, HealthProbe.Grpc probe, CancellationToken cancellationToken)
    {
        if (endpoint.TryAcquire(http1Only: false) is not { } handler)
        {
            return NoIdentity;
        }

        try
        {
            using var request = GrpcFrames.Request(Authority(endpoint), "/grpc.health.v1.Health/Check", Question(probe.Service));
            request.Headers.TryAddWithoutValidation("User-Agent", UserAgent);
            using var response = await handler.SendAsync(request, cancellationToken).ConfigureAwait(false);
            var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            byte[]? answer = null;
            if (response.StatusCode == HttpStatusCode.OK)
            {
                answer = await GrpcFrames.ReadAsync(body, MaxAnswerBytes, cancellationToken).ConfigureAwait(false);
                while (await GrpcFrames.ReadAsync(body, MaxAnswerBytes, cancellationToken).ConfigureAwait(false) is not null)
                {
                    // The status comes after the last message.
                }
            }

            var status = GrpcFrames.Status(response);
            if (status != 0)
            {
                return new(ProbeEnd.Bad, status == GrpcFrames.Unimplemented ? "it has no grpc.health.v1.Health service" : $"grpc.health.v1.Health/Check ended with status {status}");
            }

            var serving = StatusOf(answer);
            return new(serving == Serving ? ProbeEnd.Good : ProbeEnd.Bad, $"grpc.health.v1.Health/Check of '{probe.Service}' says {Name(serving)}");
        }
        finally
        {
            handler.Release();
        }
    }

    private async Task<ProbeResult> TcpAsync(OutboundEndpoint endpoint, CancellationToken cancellationToken)
    {
        var identity = endpoint.NeedsIdentity ? identities.Current : null;
        if (identity is null && endpoint.NeedsIdentity)
        {
            return NoIdentity;
        }

        await transport.ConnectAsync(endpoint.Config, endpoint.Cluster.Config, identity, cancellationToken).ConfigureAwait(false);
        return new(ProbeEnd.Good, "it takes connections");
    }

    private static ProbeResult Failed(Exception exception)
    {
        for (var e = exception; e is not null; e = e.InnerException)
        {
            if (e is EndpointConnectException)
            {
                return new(e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused } ? ProbeEnd.Refused : ProbeEnd.Bad, e.Message);
            }
        }

        return new(ProbeEnd.Bad, $"the probe failed: {exception.Message}");
    }

    /// <summary>The service; names of foreign clusters may be no hosts.</summary>
    public static string Authority(OutboundEndpoint endpoint) =>
        Uri.CheckHostName(endpoint.Cluster.Service) == UriHostNameType.Dns ? endpoint.Cluster.Service : endpoint.Config.HostPort;

    /// <summary>HealthCheckRequest: field 1 is the service.</summary>
    private static byte[] Question(string service)
    {
        var name = Encoding.UTF8.GetBytes(service);
        if (name.Length == 0)
        {
            return [];
        }

        var message = new List<byte>(name.Length + 6) { (1 << 3) | 2 };
        var length = (uint)name.Length;
        for (; length >= 0x80; length >>= 7)
        {
            message.Add((byte)(length | 0x80));
        }

        message.Add((byte)length);
        message.AddRange(name);
        return [.. message];
    }

    /// <summary>HealthCheckResponse: field 1 is the status; absent is 0.</summary>
    private static ulong StatusOf(byte[]? answer)
    {
        var fields = new ProtoFields(answer);
        var status = 0UL;
        while (fields.Read())
        {
            status = fields.Field == 1 ? fields.Number : status;
        }

        return status;
    }

    private static string Name(ulong status) => status switch
    {
        0 => "UNKNOWN",
        Serving => "SERVING",
        2 => "NOT_SERVING",
        3 => "SERVICE_UNKNOWN",
        _ => $"{status}",
    };
}
