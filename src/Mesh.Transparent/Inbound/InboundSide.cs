using System.Net;
using System.Net.Sockets;
using Mesh.Hosting;
using Mesh.Outbound;
using Mesh.Server;
using Mesh.Server.Listening;
using Mesh.Telemetry;
using Mesh.Transparent.Detection;
using Mesh.Transparent.Forwarding;
using Mesh.Transparent.Interception;
using Mesh.Transparent.Listening;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Mesh.Transparent.Inbound;

/// <summary>What calls the app: each connection by the address it was for, then by its first bytes.</summary>
/// <remarks>
/// In this order: where was it going (not to us: refused, so that nobody is relayed) → its policy (waited for at most 10 s) → what do its first bytes say
/// → mesh TLS: ends here, then HTTP or bytes by what was agreed in it → HTTP: the pipeline of <c>UseMesh()</c> → all else: judged as a connection, then carried.
/// </remarks>
internal sealed partial class InboundSide : IAsyncDisposable
{
    private readonly IRedirection _redirection;
    private readonly OwnPorts _own;
    private readonly MeshGate _gate;
    private readonly InboundPlaces _places;
    private readonly SidecarOptions _options;
    private readonly SilentClients _silent;
    private readonly SocketConnections _connections;
    private readonly SidecarMetrics _metrics;
    private readonly RefusalLog _refusals;
    private readonly MetricAggregate _aggregate;
    private readonly LocalNode _node;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly HttpFace _http;
    private readonly AcceptLoop _accept;
    private readonly CancellationTokenSource _broken = new();

    /// <param name="serve">Judges a request and gives it on.</param>
    public InboundSide(
        IRedirection redirection, OwnPorts own, MeshGate gate, MeshTlsEndpoint meshTls, InboundPlaces places, RequestDelegate serve, SidecarOptions options, SocketConnections connections,
        SidecarMetrics metrics, RefusalLog refusals, MetricAggregate aggregate, LocalNode node, TimeProvider time, IServiceProvider services, ILoggerFactory loggers)
    {
        (_redirection, _own, _gate, _places, _options, _connections, _metrics, _refusals, _aggregate, _node, _time) =
            (redirection, own, gate, places, options, connections, metrics, refusals, aggregate, node, time);
        _logger = loggers.CreateLogger<InboundSide>();
        _silent = new SilentClients(new ProtocolDetector(time), time);
        meshTls.Tcp = RelayTerminatedAsync;
        _http = new HttpFace("inbound", serve, services, loggers, (gate.MeshConnections, meshTls.Configure));
        _accept = new AcceptLoop("inbound", ServeAsync, time, _logger);
    }

    /// <summary>Connections of callers that are open.</summary>
    public int Active => _accept.Active;

    public IReadOnlyList<IPEndPoint> Endpoints => _accept.Endpoints;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        _gate.Open();
        await _http.StartAsync(cancellationToken).ConfigureAwait(false);
        _gate.Started(null);
        _accept.Start(_options.InboundListen);
    }

    /// <summary>What is not done when <paramref name="cancellationToken"/> ends is broken off.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _gate.Stopping();
        await _accept.StopAsync().ConfigureAwait(false);
        await _http.StopAsync(cancellationToken).ConfigureAwait(false);
        _gate.Stopped();
        await _accept.DrainAsync(cancellationToken).ConfigureAwait(false);
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
            Refuse(socket, RefusalReasons.Loop, null, "it called the proxy itself");
            return;
        }

        if (!_own.IsPod(destination.Address))
        {
            Refuse(socket, RefusalReasons.NotOurs, destination, "it is not an address of this workload");
            return;
        }

        if (_options.SkipInboundPorts.Contains(destination.Port))
        {
            await RelayAsync(socket, destination, null, null, await ConnectAppAsync(destination, _broken.Token).ConfigureAwait(false), default).ConfigureAwait(false);
            return;
        }

        using var place = _places.Enter(destination);
        if (place is null)
        {
            Refuse(socket, RefusalReasons.TooMany, destination, $"{InboundPlaces.Max} addresses of this workload are in use");
            return;
        }

        await ServeAsync(socket, destination, place).ConfigureAwait(false);
    }

    private async Task ServeAsync(Socket socket, IPEndPoint destination, InboundPlaces.InboundPlace place)
    {
        // A strict port takes mesh TLS alone: whoever is silent there costs the app no connection.
        var heard = await _silent.ListenAsync(
            socket,
            cancel => place.Address.Policy is { Plaintext: false } ? throw new OpaqueRefusedException("The port is strict.") : ConnectAppAsync(destination, cancel),
            _broken.Token).ConfigureAwait(false);
        _metrics.Detected(MeshTags.Inbound, heard.First.Protocol);
        if (heard.TimedOut)
        {
            _metrics.DetectionTimedOut(MeshTags.Inbound);
        }

        switch (heard.First.Protocol)
        {
            case WireProtocol.MeshTls:
                await ServeHttpAsync(socket, destination, new MeshConnectionFeature(place.Address, FirstBytes.MeshTls, isMeshTls: true, destination.ToString()), offer: _gate.MeshConnections.Offer).ConfigureAwait(false);
                break;
            case WireProtocol.Http1 or WireProtocol.Http2 when !await IsOpaqueAsync(place).ConfigureAwait(false):
                var http2 = heard.First.Protocol == WireProtocol.Http2;
                await ServeHttpAsync(socket, destination, Plain(place, destination), handed => _http.Serve(handed, http2)).ConfigureAwait(false);
                break;
            default:
                await JudgeAndRelayAsync(socket, destination, place, heard).ConfigureAwait(false);
                break;
        }
    }

    private static MeshConnectionFeature Plain(InboundPlaces.InboundPlace place, IPEndPoint destination) => new(place.Address, FirstBytes.Plain, isMeshTls: false, destination.ToString());

    /// <summary>Whether connections are judged there and not requests. Without an answer requests are served, which wait themselves and say what is missing.</summary>
    private async ValueTask<bool> IsOpaqueAsync(InboundPlaces.InboundPlace place)
    {
        if (place.Address.Policy is { } policy)
        {
            return policy.OtherIsOpaque;
        }

        using var timed = new CancellationTokenSource(MeshGate.LongestWait, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timed.Token, _broken.Token);
        try
        {
            return (await place.Address.GetAsync(either.Token).ConfigureAwait(false)).OtherIsOpaque;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task ServeHttpAsync(Socket socket, IPEndPoint destination, MeshConnectionFeature mesh, Func<ConnectionContext, bool> offer)
    {
        var handed = _connections.Create(socket, destination, out var ended);
        handed.Features.Set(mesh);
        if (!offer(handed))
        {
            await handed.DisposeAsync().ConfigureAwait(false);
        }

        await ended.ConfigureAwait(false);
    }

    private async Task JudgeAndRelayAsync(Socket socket, IPEndPoint destination, InboundPlaces.InboundPlace place, Heard heard)
    {
        var judged = new RelayedConnection(socket, destination);
        await using (judged.ConfigureAwait(false))
        {
            var isTls = heard.First.Protocol == WireProtocol.Tls;
            var mesh = new MeshConnectionFeature(place.Address, isTls ? FirstBytes.Tls : FirstBytes.Plain, isMeshTls: false, destination.ToString());
            if (!await IsAdmittedAsync(judged, mesh).ConfigureAwait(false))
            {
                if (heard.Server is { } unused)
                {
                    await unused.CloseAsync(failed: false).ConfigureAwait(false);
                }

                Refuse(socket, RefusalReasons.Policy, destination, "policy denies it, takes only requests that can be judged, or did not come in time");
                return;
            }

            await RelayAsync(socket, destination, mesh, heard.ServerSpoke ? IsMeshTls : null, heard.Server ?? await ConnectAppAsync(destination, _broken.Token).ConfigureAwait(false), heard).ConfigureAwait(false);
        }
    }

    private async ValueTask<bool> IsAdmittedAsync(RelayedConnection judged, MeshConnectionFeature mesh)
    {
        using var timed = new CancellationTokenSource(MeshGate.LongestWait, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timed.Token, _broken.Token);
        try
        {
            await mesh.Address!.GetAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // No policy, no connection.
            return false;
        }

        return _gate.Connections.Admits(judged, mesh, bringsRequests: false);
    }

    /// <param name="refuses">Looks at the client's first bytes; null looks at nothing.</param>
    private async Task RelayAsync(Socket socket, IPEndPoint destination, MeshConnectionFeature? mesh, Func<ReadOnlyMemory<byte>, bool>? refuses, RelayTarget app, Heard heard)
    {
        var started = _time.GetTimestamp();
        using var meter = Meter(mesh);
        var client = new NetworkStream(socket, ownsSocket: true);
        await using (client.ConfigureAwait(false))
        {
            var relayed = await TcpRelay.RunAsync(RelayEnd.Of(socket, client), app.End, heard.Early, _broken.Token, meter, refuses).ConfigureAwait(false);
            await app.CloseAsync(relayed.Error is not null).ConfigureAwait(false);
            if (relayed.Error is RefusedBytesException)
            {
                // Contracts §4: never to the app.
                Refuse(socket, RefusalReasons.LateTls, destination, "mesh TLS came after bytes had gone to the client");
            }

            Record(mesh, relayed, _time.GetElapsedTime(started));
        }
    }

    /// <summary>Mesh TLS has ended, and what was agreed inside is bytes of any protocol. The connection is judged already.</summary>
    private async Task RelayTerminatedAsync(ConnectionContext connection)
    {
        var started = _time.GetTimestamp();
        var mesh = connection.Features.Get<MeshConnectionFeature>();
        RelayTarget app;
        try
        {
            app = await ConnectAppAsync((IPEndPoint)connection.LocalEndPoint!, connection.ConnectionClosed).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or TimeoutException)
        {
            _metrics.ConnectionRefused(MeshTags.Inbound, RefusalReasons.Unavailable);
            Log.AppUnreachable(_logger, connection.LocalEndPoint!.ToString()!, e.Message);
            connection.Abort(new ConnectionAbortedException("The app can't be connected."));
            return;
        }
        catch (OperationCanceledException)
        {
            // The caller left first: it wanted to know who speaks first, and its client did.
            return;
        }

        using var meter = Meter(mesh);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_broken.Token, connection.ConnectionClosed);
        var relayed = await TcpRelay.RunAsync(RelayEnd.Of(connection), app.End, null, either.Token, meter).ConfigureAwait(false);
        await app.CloseAsync(relayed.Error is not null).ConfigureAwait(false);
        Record(mesh, relayed, _time.GetElapsedTime(started));
    }

    private ValueTask<RelayTarget> ConnectAppAsync(IPEndPoint destination, CancellationToken cancellationToken) => RelayTarget.DialAsync(destination, _time, cancellationToken);

    /// <summary>Null where nobody counts.</summary>
    private ConnectionMeter? Meter(MeshConnectionFeature? mesh)
    {
        if (mesh is null || _aggregate.IsOff)
        {
            return null;
        }

        var peer = mesh.Peer?.Id;
        return _metrics.Pairs.Begin(new ConnectionPair(
            true, peer is null ? MeshTags.Unmeshed : peer.ServiceAccount ?? peer.ToString(), peer?.Namespace ?? string.Empty, _node.Workload, _node.Namespace, mesh.IsMeshTls));
    }

    private void Record(MeshConnectionFeature? mesh, Relayed relayed, TimeSpan duration)
    {
        _metrics.Carried(MeshTags.Inbound, relayed.Sent, relayed.Received);
        if (mesh is null || _aggregate.IsOff)
        {
            return;
        }

        var peer = mesh.Peer?.Id;
        _aggregate.Get(
            MeshTags.ServerConnectionDuration,
            new(MeshTags.Direction, MeshTags.Inbound),
            new(MeshTags.Source, peer is null ? MeshTags.Unmeshed : peer.ServiceAccount ?? peer.ToString()),
            new(MeshTags.SourceNamespace, peer?.Namespace ?? string.Empty),
            new(MeshTags.Destination, _node.Workload),
            new(MeshTags.DestinationNamespace, _node.Namespace),
            new(MeshTags.Outcome, relayed.Error is null ? MeshTags.Success : MeshTags.Failure),
            new(MeshTags.Tls, mesh.IsMeshTls ? "mesh" : "none"),
            new(MeshTags.Endpoint, mesh.Endpoint)).Record(duration);
    }

    private static bool IsMeshTls(ReadOnlyMemory<byte> first) => FirstBytesReader.Read(first).Protocol == WireProtocol.MeshTls;

    private void Refuse(Socket socket, string reason, IPEndPoint? destination, string detail)
    {
        _metrics.ConnectionRefused(MeshTags.Inbound, reason);
        if (_refusals.IsDue($"inbound/{reason}", out var count))
        {
            Log.ConnectionRefused(_logger, count, destination?.ToString() ?? "unknown", reason, detail);
        }

        RelayEnd.Of(socket, Stream.Null).Abort();
    }

    private static partial class Log
    {
        [LoggerMessage(6200, LogLevel.Warning, "{Count} connections were refused ({Reason}), the latest to {Destination}: {Detail}", EventName = nameof(ConnectionRefused))]
        public static partial void ConnectionRefused(ILogger logger, long count, string destination, string reason, string detail);

        [LoggerMessage(6201, LogLevel.Warning, "The app can't be connected at {Destination}: {Detail}", EventName = nameof(AppUnreachable))]
        public static partial void AppUnreachable(ILogger logger, string destination, string detail);
    }
}
