using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

/// <summary>Makes the connection to one endpoint: TCP, then TLS as its metadata says. Never plaintext to what is known to be meshed. Thread-safe.</summary>
/// <param name="live">Who ends connections whose peer is no longer believed; null: nobody.</param>
/// <param name="decisions">Null counts nothing.</param>
/// <param name="subchannels">Null counts nothing.</param>
internal sealed partial class MeshConnector(TimeProvider time, LiveConnections? live, DecisionCounter? decisions, ILogger logger, SubchannelMetrics? subchannels = null)
{
    /// <inheritdoc cref="ConnectAsync(Endpoint, Cluster, WorkloadIdentity?, HopProtocol, ConnectionPermit?, CancellationToken)"/>
    public ValueTask<Stream> ConnectAsync(
        Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, bool http2, ConnectionPermit? permit, CancellationToken cancellationToken) =>
        ConnectAsync(endpoint, cluster, identity, http2 ? HopProtocol.Http : HopProtocol.Http11, permit, cancellationToken);

    /// <param name="identity">Who we are; null only for endpoints without TLS.</param>
    /// <param name="permit">Its place among the connections of its cluster, given back when it is closed; stays the caller's when none came about.</param>
    /// <exception cref="EndpointConnectException">No connection; nothing was sent.</exception>
    public async ValueTask<Stream> ConnectAsync(
        Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, HopProtocol protocol, ConnectionPermit? permit, CancellationToken cancellationToken)
    {
        using var timed = new CancellationTokenSource(cluster.ConnectTimeout, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timed.Token);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        Stream? stream = null;
        PeerRefusal? refused = null;
        Peer? peer = null;
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Parse(endpoint.Address), endpoint.Port), linked.Token).ConfigureAwait(false);
            var connection = new EndpointStream(socket, permit);
            stream = connection;
            var options = endpoint.Tls == EndpointTls.Mesh
                ? MeshTls.ForClient(identity!, endpoint.SpiffeId!, protocol, problem => refused = problem, verified => peer = verified)
                : cluster.UpstreamTls is null ? null : ForForeign(cluster.UpstreamTls, identity!, protocol == HopProtocol.Http, problem => refused = problem, verified => peer = verified);
            if (options is null)
            {
                Connected(connection, cluster);
                return stream;
            }

            var tls = new SslStream(stream, leaveInnerStreamOpen: false);
            stream = tls;
            await tls.AuthenticateAsClientAsync(options, linked.Token).ConfigureAwait(false);
            if (live is not null && peer is not null)
            {
                connection.Watch(live, identity!, peer, reason => Decide(Decisions.ConnectionEnded, reason, cluster));
            }

            Connected(connection, cluster);
            return tls;
        }
        catch (Exception e) when (e is SocketException or IOException or AuthenticationException or OperationCanceledException)
        {
            if (stream is not null)
            {
                await stream.DisposeAsync().ConfigureAwait(false);
            }

            socket.Dispose();
            if (!cancellationToken.IsCancellationRequested)
            {
                subchannels?.ConnectFailed(cluster.Name);
            }

            if (refused is not null)
            {
                Log.PeerRefused(logger, endpoint.HostPort, refused.Problem);
                Decide(Decisions.PeerRefused, refused.Reason, cluster);
                throw new EndpointConnectException($"The endpoint {endpoint.HostPort} was refused: {refused.Problem}", e) { IsTls = true };
            }

            if (e is AuthenticationException || stream is SslStream)
            {
                throw new EndpointConnectException($"The TLS handshake with the endpoint {endpoint.HostPort} failed: {e.Message}", e) { IsTls = true };
            }

            if (e is OperationCanceledException && cancellationToken.IsCancellationRequested)
            {
                throw;
            }

            var reason = e is OperationCanceledException ? $"no answer within {cluster.ConnectTimeout.TotalSeconds:0.###} s" : e.Message;
            throw new EndpointConnectException($"The endpoint {endpoint.HostPort} could not be connected: {reason}", e);
        }
    }

    private void Decide(string decision, string reason, Cluster cluster)
    {
        if (decisions is not null)
        {
            var (service, @namespace) = ServiceNames.Parse(cluster.Name);
            decisions.Count(decision, reason, service, @namespace);
        }
    }

    private void Connected(EndpointStream connection, Cluster cluster)
    {
        if (subchannels is not null)
        {
            subchannels.Connected(cluster.Name);
            connection.WhenClosed(() => subchannels.Disconnected(cluster.Name));
        }
    }

    /// <summary>TLS as a foreign control plane asks for it: chain to our bundle, then any of the names (gRFC A29).</summary>
    private static SslClientAuthenticationOptions ForForeign(UpstreamTls upstream, WorkloadIdentity identity, bool http2, Action<PeerRefusal> onRefused, Action<Peer> onVerified) => new()
    {
        TargetHost = upstream.Sni,
        ClientCertificateContext = identity.CertificateContext,
        EnabledSslProtocols = SslProtocols.Tls13 | SslProtocols.Tls12,
        ApplicationProtocols = http2 ? [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11] : [SslApplicationProtocol.Http11],
        CertificateChainPolicy = identity.CreateChainPolicy(),
        RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
        {
            var refusal = PeerVerifier.VerifyForeign(identity.Bundle, certificate, chain, errors, out var peer);
            if (refusal is null && upstream.AllowedSubjects.Count > 0 && !HasAnySubject(upstream, (X509Certificate2)certificate!))
            {
                refusal = new(PeerRefusals.UnexpectedId, $"none of its certificate's alternative names is among the {upstream.AllowedSubjects.Count} that the cluster allows.");
            }

            if (refusal is not null)
            {
                onRefused(refusal);
                return false;
            }

            identity.Learn(chain!);
            onVerified(peer!);
            return true;
        },
    };

    private static bool HasAnySubject(UpstreamTls upstream, X509Certificate2 leaf)
    {
        if (SpiffeCertificate.TryReadId(leaf, out var id, out _) && upstream.AllowedSubjects.Any(s => s.Matches(id.ToString())))
        {
            return true;
        }

        foreach (var extension in leaf.Extensions)
        {
            if (extension is X509SubjectAlternativeNameExtension names && names.EnumerateDnsNames().Any(n => upstream.AllowedSubjects.Any(s => s.Matches(n))))
            {
                return true;
            }
        }

        return false;
    }

    private static partial class Log
    {
        [LoggerMessage(2100, LogLevel.Error, "Endpoint {Endpoint} was refused: {Problem}", EventName = nameof(PeerRefused))]
        public static partial void PeerRefused(ILogger logger, string endpoint, string problem);
    }
}
