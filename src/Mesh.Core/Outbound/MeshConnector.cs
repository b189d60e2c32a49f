using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Spiffe;
using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

/// <summary>Makes the connection to one endpoint: TCP, then TLS as its metadata says. Never plaintext to what is known to be meshed.</summary>
internal static partial class MeshConnector
{
    /// <param name="identity">Who we are; null only for endpoints without TLS.</param>
    /// <exception cref="EndpointConnectException">No connection; nothing was sent.</exception>
    public static ValueTask<Stream> ConnectAsync(
        Endpoint endpoint, UpstreamTls? upstream, WorkloadIdentity? identity, bool http2, TimeSpan timeout, TimeProvider time, ILogger logger, CancellationToken cancellationToken) =>
        ConnectAsync(endpoint, upstream, identity, http2, timeout, time, logger, static socket => new NetworkStream(socket, ownsSocket: true), cancellationToken);

    /// <inheritdoc cref="ConnectAsync(Endpoint, UpstreamTls?, WorkloadIdentity?, bool, TimeSpan, TimeProvider, ILogger, CancellationToken)"/>
    /// <param name="wrap">Makes the stream of the connected socket, which it owns.</param>
    public static async ValueTask<Stream> ConnectAsync(
        Endpoint endpoint, UpstreamTls? upstream, WorkloadIdentity? identity, bool http2, TimeSpan timeout, TimeProvider time, ILogger logger, Func<Socket, NetworkStream> wrap, CancellationToken cancellationToken)
    {
        using var timed = new CancellationTokenSource(timeout, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timed.Token);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        Stream? stream = null;
        string? refused = null;
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Parse(endpoint.Address), endpoint.Port), linked.Token).ConfigureAwait(false);
            stream = wrap(socket);
            var options = endpoint.Tls == EndpointTls.Mesh
                ? MeshTls.ForClient(identity!, endpoint.SpiffeId!, http2, problem => refused = problem)
                : upstream is null ? null : ForForeign(upstream, identity!, http2, problem => refused = problem);
            if (options is null)
            {
                return stream;
            }

            var tls = new SslStream(stream, leaveInnerStreamOpen: false);
            stream = tls;
            await tls.AuthenticateAsClientAsync(options, linked.Token).ConfigureAwait(false);
            return tls;
        }
        catch (Exception e) when (e is SocketException or IOException or AuthenticationException or OperationCanceledException)
        {
            if (stream is not null)
            {
                await stream.DisposeAsync().ConfigureAwait(false);
            }

            socket.Dispose();
            if (refused is not null)
            {
                Log.PeerRefused(logger, endpoint.HostPort, refused);
                throw new EndpointConnectException($"The endpoint {endpoint.HostPort} was refused: {refused}", e) { IsTls = true };
            }

            if (e is AuthenticationException || stream is SslStream)
            {
                throw new EndpointConnectException($"The TLS handshake with the endpoint {endpoint.HostPort} failed: {e.Message}", e) { IsTls = true };
            }

            if (e is OperationCanceledException && cancellationToken.IsCancellationRequested)
            {
                throw;
            }

            var reason = e is OperationCanceledException ? $"no answer within {timeout.TotalSeconds:0.###} s" : e.Message;
            throw new EndpointConnectException($"The endpoint {endpoint.HostPort} could not be connected: {reason}", e);
        }
    }

    /// <summary>TLS as a foreign control plane asks for it: chain to our bundle, then any of the names (gRFC A29).</summary>
    private static SslClientAuthenticationOptions ForForeign(UpstreamTls upstream, WorkloadIdentity identity, bool http2, Action<string> onRefused) => new()
    {
        TargetHost = upstream.Sni,
        ClientCertificateContext = identity.CertificateContext,
        ApplicationProtocols = http2 ? [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11] : [SslApplicationProtocol.Http11],
        CertificateChainPolicy = identity.CreateChainPolicy(),
        RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
        {
            if (certificate is not X509Certificate2 leaf || (errors & SslPolicyErrors.RemoteCertificateChainErrors) != 0)
            {
                onRefused("its certificate does not chain to the trust bundle, or is not valid now.");
                return false;
            }

            if (upstream.AllowedSubjects.Count > 0 && !HasAnySubject(upstream, leaf))
            {
                onRefused($"none of its certificate's alternative names is among the {upstream.AllowedSubjects.Count} that the cluster allows.");
                return false;
            }

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
