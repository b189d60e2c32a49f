using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Opens TLS connections to the control plane: only the roots that vouch for it and its fixed name are trusted, whatever address was dialed.</summary>
/// <param name="serverName">The DNS name in its certificate.</param>
/// <param name="live">Who ends connections that should be no longer; asked late, null: nobody.</param>
internal sealed class ControlPlaneDialer(ControlPlaneTrust trust, string serverName = ControlPlaneDialer.ServerName, Func<LiveConnections>? live = null)
{
    /// <summary>The DNS name in the certificate of a control plane of ours.</summary>
    public const string ServerName = "mesh-control-plane";

    public ControlPlaneDialer(Func<TrustBundle> roots)
        : this(new ControlPlaneTrust(roots))
    {
    }

    /// <summary>A private handler: no proxy, no cookies, no tracing headers; nothing that the host registers sees it (contracts §6).</summary>
    /// <param name="identity">Asked at every connection for the certificate to show; null shows none.</param>
    public SocketsHttpHandler CreateHandler(Func<WorkloadIdentity?> identity) => new()
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        ActivityHeadersPropagator = null,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        KeepAlivePingDelay = TimeSpan.FromSeconds(20),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        ConnectCallback = (context, cancellationToken) => ConnectAsync(context.DnsEndPoint, identity(), cancellationToken),
    };

    /// <summary>The reason of a failed call that our own verification gave; null when it was something else.</summary>
    public static ControlPlaneUntrustedException? FindUntrusted(Exception? e)
    {
        for (; e is not null; e = e.InnerException)
        {
            if (e is ControlPlaneUntrustedException untrusted)
            {
                return untrusted;
            }
        }

        return null;
    }

    private async ValueTask<Stream> ConnectAsync(DnsEndPoint address, WorkloadIdentity? identity, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        SslStream? tls = null;
        try
        {
            await socket.ConnectAsync(address, cancellationToken).ConfigureAwait(false);
            var connection = new WatchedStream(socket);
            tls = new SslStream(connection);
            string? refused = null;
            Peer? peer = null;
            try
            {
                await tls.AuthenticateAsClientAsync(Options(identity, problem => refused = problem, verified => peer = verified), cancellationToken).ConfigureAwait(false);
            }
            catch (AuthenticationException e) when (refused is not null)
            {
                throw new ControlPlaneUntrustedException($"The server at {address.Host}:{address.Port} is not the control plane that the trust bundle names: {refused}", e);
            }

            if (live is not null && peer is not null)
            {
                connection.Watch(live().Add(new Connection(socket, trust, identity, peer)));
            }

            return tls;
        }
        catch
        {
            if (tls is not null)
            {
                await tls.DisposeAsync().ConfigureAwait(false);
            }

            socket.Dispose();
            throw;
        }
    }

    private SslClientAuthenticationOptions Options(WorkloadIdentity? identity, Action<string> onRefused, Action<Peer> onVerified)
    {
        var bundle = trust.Read();
        return new SslClientAuthenticationOptions
        {
            TargetHost = serverName,
            ClientCertificateContext = identity?.CertificateContext,
            EnabledSslProtocols = SslProtocols.Tls13 | SslProtocols.Tls12,
            ApplicationProtocols = [SslApplicationProtocol.Http2],
            CertificateChainPolicy = WorkloadIdentity.CreateChainPolicy(bundle.Roots),
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
            {
                var peer = errors == SslPolicyErrors.None ? Peer.From(null, chain!) : null;
                var problem = Problem(certificate, errors) ?? PeerVerifier.Recheck(bundle, peer!)?.Problem;
                if (problem is not null)
                {
                    onRefused(problem);
                    return false;
                }

                onVerified(peer!);
                return true;
            },
        };
    }

    private string? Problem(X509Certificate? certificate, SslPolicyErrors errors) => certificate switch
    {
        null => "it sent no certificate.",
        _ when (errors & SslPolicyErrors.RemoteCertificateChainErrors) != 0 =>
            $"its certificate '{certificate.Subject}' does not chain to a root in {(trust.Held is null ? "Mesh:TrustBundle" : "the trust bundle that the control plane gave out")}, or is not valid now ({certificate.GetEffectiveDateString()} to {certificate.GetExpirationDateString()}). Give the control plane's current bundle.",
        _ when (errors & SslPolicyErrors.RemoteCertificateNameMismatch) != 0 =>
            $"its certificate '{certificate.Subject}' is not for the name '{serverName}'. Check that Mesh:ControlPlane is the control plane's gRPC address, and Mesh:ControlPlaneName the name it goes by.",
        _ => errors == SslPolicyErrors.None ? null : $"its certificate is not acceptable ({errors}).",
    };

    private sealed class WatchedStream(Socket socket) : NetworkStream(socket, ownsSocket: true)
    {
        private IDisposable? _watch;
        private volatile bool _closed;

        public void Watch(IDisposable watch)
        {
            _watch = watch;
            if (_closed)
            {
                watch.Dispose();
            }
        }

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            _closed = true;
            _watch?.Dispose();
        }
    }

    /// <summary>The stream of configuration is made again over the next one, under what holds then.</summary>
    private sealed class Connection(Socket socket, ControlPlaneTrust trust, WorkloadIdentity? identity, Peer peer) : LiveConnection(identity, peer)
    {
        public override PeerRefusal? Recheck(WorkloadIdentity current) => trust.Held is { } bundle ? PeerVerifier.Recheck(bundle, Peer) : null;

        public override void Drain()
        {
            // One long stream: it has no end that could be waited for.
        }

        public override void Close(string reason, string problem) => socket.Dispose();
    }
}

/// <summary>Thrown when the server that answered is not the control plane.</summary>
internal sealed class ControlPlaneUntrustedException(string message, Exception inner) : AuthenticationException(message, inner);
