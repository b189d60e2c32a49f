using System.Net;
using System.Net.Sockets;
using Mesh.Outbound;
using Mesh.Server;
using Mesh.Telemetry;
using Mesh.Transparent.Detection;
using Mesh.Transparent.Forwarding;
using Mesh.Transparent.Interception;
using Mesh.Transparent.Listening;
using Microsoft.Extensions.Logging;

namespace Mesh.Transparent.Outbound;

/// <summary>What the app calls: each connection by the address it dialled, then by its first bytes.</summary>
/// <remarks>
/// In this order: where was it going (a loop is refused) → what is that to the mesh (one look-up per address, shared by all who wait) → egress policy where it is nothing
/// → what do its first bytes say (not asked of ports that are opaque) → HTTP: the pipeline of <c>MeshHttpHandler</c>; all else: <see cref="OpaquePipeline"/>, or as it is to where it was going.
/// </remarks>
internal sealed partial class OutboundSide : IAsyncDisposable
{
    private readonly IRedirection _redirection;
    private readonly OwnPorts _own;
    private readonly OutboundPipeline _pipeline;
    private readonly OpaquePipeline _opaque;
    private readonly EgressDestinations _egress;
    private readonly SidecarOptions _options;
    private readonly ProtocolDetector _detector;
    private readonly SilentClients _silent;
    private readonly SocketConnections _connections;
    private readonly SidecarMetrics _metrics;
    private readonly RefusalLog _refusals;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger _logger;
    private readonly HttpFace _http;
    private readonly AcceptLoop _accept;
    private readonly CancellationTokenSource _broken = new();

    public OutboundSide(
        IRedirection redirection, OwnPorts own, OutboundPipeline pipeline, OpaquePipeline opaque, EgressDestinations egress, SidecarOptions options, SocketConnections connections,
        SidecarMetrics metrics, RefusalLog refusals, TimeProvider time, Random random, IServiceProvider services, ILoggerFactory loggers)
    {
        (_redirection, _own, _pipeline, _opaque, _egress, _options, _connections, _metrics, _refusals, _time, _random) =
            (redirection, own, pipeline, opaque, egress, options, connections, metrics, refusals, time, random);
        _logger = loggers.CreateLogger<OutboundSide>();
        _detector = new ProtocolDetector(time);
        _silent = new SilentClients(_detector, time);
        _http = new HttpFace("outbound", new HttpForwarder(new OutboundTarget(pipeline), time, loggers.CreateLogger<HttpForwarder>()).ForwardAsync, services, loggers);
        _accept = new AcceptLoop("outbound", ServeAsync, time, _logger);
    }

    /// <summary>Connections of the app that are open.</summary>
    public int Active => _accept.Active;

    public IReadOnlyList<IPEndPoint> Endpoints => _accept.Endpoints;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _http.StartAsync(cancellationToken).ConfigureAwait(false);
        _accept.Start(_options.OutboundListen);
    }

    /// <summary>What is not done when <paramref name="cancellationToken"/> ends is broken off.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _accept.StopAsync().ConfigureAwait(false);
        await _http.StopAsync(cancellationToken).ConfigureAwait(false);
        await _broken.CancelAsync().ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _accept.DisposeAsync().ConfigureAwait(false);
        _http.Dispose();
        _broken.Dispose();
    }

    private async Task ServeAsync(Socket socket)
    {
        if (!_redirection.TryRead(socket, out var destination) || _own.IsProxy(destination))
        {
            Refuse(socket, RefusalReasons.Loop, "it called the proxy itself");
            return;
        }

        var key = KeyOf(destination);
        var dialled = await _pipeline.ResolveAsync(key, _broken.Token).ConfigureAwait(false);
        var connection = new OutboundConnection(destination, key, dialled, _egress);
        if (dialled is { Listener: null, Why: null })
        {
            await ServeEgressAsync(socket, connection).ConfigureAwait(false);
        }
        else
        {
            await ServeMeshAsync(socket, connection).ConfigureAwait(false);
        }
    }

    private async Task ServeMeshAsync(Socket socket, OutboundConnection connection)
    {
        var listener = connection.Dialled.Listener;
        var tcp = listener?.Tcp;
        if (listener is { Host: null } && tcp is { NeedsServerName: false })
        {
            _metrics.Detected(MeshTags.Outbound, WireProtocol.Opaque);
            await RelayAsync(socket, connection, new Heard(new(WireProtocol.Opaque))).ConfigureAwait(false);
            return;
        }

        var heard = await ListenAsync(socket, cancel => DialMeshAsync(connection, new(WireProtocol.Opaque), cancel)).ConfigureAwait(false);
        if (listener is not { Host: null } && heard.First.Protocol is WireProtocol.Http1 or WireProtocol.Http2)
        {
            await ServeHttpAsync(socket, connection, heard.First.Protocol).ConfigureAwait(false);
            return;
        }

        await RelayAsync(socket, connection, heard).ConfigureAwait(false);
    }

    private async Task ServeEgressAsync(Socket socket, OutboundConnection connection)
    {
        var isDenied = _options.Egress == EgressMode.Deny;
        if (!isDenied && _options.OpaquePorts.Contains(connection.Destination.Port))
        {
            _metrics.Detected(MeshTags.Outbound, WireProtocol.Opaque);
            await RelayAsync(socket, connection, new Heard(new(WireProtocol.Opaque))).ConfigureAwait(false);
            return;
        }

        var heard = await ListenAsync(
            socket, cancel => isDenied ? throw new OpaqueRefusedException("Egress is denied.") : RelayTarget.DialAsync(connection.Destination, _time, cancel)).ConfigureAwait(false);
        if (heard.First.Protocol is WireProtocol.Http1 or WireProtocol.Http2)
        {
            await ServeHttpAsync(socket, connection, heard.First.Protocol).ConfigureAwait(false);
        }
        else if (isDenied)
        {
            Refuse(socket, RefusalReasons.Egress, $"{heard.First.ServerName ?? connection.Destination.ToString()} is outside of the mesh, and MESH_EGRESS is deny");
        }
        else
        {
            await RelayAsync(socket, connection, heard).ConfigureAwait(false);
        }
    }

    private async ValueTask<Heard> ListenAsync(Socket socket, Func<CancellationToken, ValueTask<RelayTarget>> connect)
    {
        var heard = await _silent.ListenAsync(socket, connect, _broken.Token).ConfigureAwait(false);
        _metrics.Detected(MeshTags.Outbound, heard.First.Protocol);
        if (heard.TimedOut)
        {
            _metrics.DetectionTimedOut(MeshTags.Outbound);
        }

        return heard;
    }

    private async Task ServeHttpAsync(Socket socket, OutboundConnection connection, WireProtocol protocol)
    {
        var handed = _connections.Create(socket, connection.Destination, out var ended);
        handed.Features.Set(connection);
        if (!_http.Serve(handed, protocol == WireProtocol.Http2))
        {
            await handed.DisposeAsync().ConfigureAwait(false);
        }

        await ended.ConfigureAwait(false);
    }

    private async Task RelayAsync(Socket socket, OutboundConnection connection, Heard heard)
    {
        RelayTarget server;
        try
        {
            server = heard.Server
                ?? (connection.Dialled is { Listener: null, Why: null }
                    ? await RelayTarget.DialAsync(connection.Destination, _time, _broken.Token).ConfigureAwait(false)
                    : await DialMeshAsync(connection, heard.First, _broken.Token).ConfigureAwait(false));
        }
        catch (Exception e) when (e is IOException or SocketException or TimeoutException)
        {
            Refuse(socket, RefusalReasons.Unavailable, e.Message, connection.Destination);
            return;
        }

        var isEgress = connection.Dialled.Listener is null;
        var started = _time.GetTimestamp();
        var destination = isEgress ? _egress.For(heard.First.ServerName ?? connection.Destination.ToString()) : connection.Dialled.Listener!.Destination;
        using var meter = destination is { IsCounted: true } ? _metrics.Pairs.Begin(destination.Pair(server.IsMesh)) : null;
        var client = new NetworkStream(socket, ownsSocket: true);
        await using (client.ConfigureAwait(false))
        {
            var relayed = await TcpRelay.RunAsync(RelayEnd.Of(socket, client), server.End, heard.Early, _broken.Token, meter).ConfigureAwait(false);
            await server.CloseAsync(relayed.Error is not null).ConfigureAwait(false);
            _metrics.Carried(MeshTags.Outbound, relayed.Sent, relayed.Received);
            if (isEgress)
            {
                destination!.RecordConnection(_time.GetElapsedTime(started), relayed.Error is null ? Verdict.Success : Verdict.Failure, mesh: false);
            }
        }
    }

    private async ValueTask<RelayTarget> DialMeshAsync(OutboundConnection connection, Detected first, CancellationToken cancellationToken)
    {
        var listener = connection.Dialled.Listener ?? throw new OpaqueRefusedException(connection.Dialled.Why!);
        var cluster = listener.Tcp?.Pick(first.ServerName, _random)
            ?? throw new OpaqueRefusedException(listener.Tcp is null
                ? "The control plane says how HTTP is routed there, and nothing of other protocols."
                : $"No TLSRoute takes the server name '{first.ServerName}', and there is no other route.");
        return RelayTarget.Of(await _opaque.ConnectAsync(cluster, listener.Destination, first.Protocol == WireProtocol.Tls, cancellationToken).ConfigureAwait(false));
    }

    private void Refuse(Socket socket, string reason, string detail, IPEndPoint? destination = null)
    {
        _metrics.ConnectionRefused(MeshTags.Outbound, reason);
        if (_refusals.IsDue($"outbound/{reason}", out var count))
        {
            Log.ConnectionRefused(_logger, count, destination?.ToString() ?? "unknown", reason, detail);
        }

        RelayEnd.Of(socket, Stream.Null).Abort();
    }

    private static ListenerKey KeyOf(IPEndPoint destination) => new(
        destination.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{destination.Address}]" : destination.Address.ToString(), destination.Port);

    private static partial class Log
    {
        [LoggerMessage(6100, LogLevel.Warning, "{Count} connections of the app were refused ({Reason}), the latest to {Destination}: {Detail}", EventName = nameof(ConnectionRefused))]
        public static partial void ConnectionRefused(ILogger logger, long count, string destination, string reason, string detail);
    }
}
