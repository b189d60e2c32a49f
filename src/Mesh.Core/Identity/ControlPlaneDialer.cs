using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Opens TLS connections to the control plane: only our bundle's roots and its fixed name are trusted, whatever address was dialed.</summary>
internal sealed class ControlPlaneDialer(Func<TrustBundle> roots)
{
    /// <summary>The DNS name in the control plane's certificate.</summary>
    public const string ServerName = "mesh-control-plane";

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
            tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
            string? refused = null;
            try
            {
                await tls.AuthenticateAsClientAsync(Options(identity, problem => refused = problem), cancellationToken).ConfigureAwait(false);
            }
            catch (AuthenticationException e) when (refused is not null)
            {
                throw new ControlPlaneUntrustedException($"The server at {address.Host}:{address.Port} is not the control plane that the trust bundle names: {refused}", e);
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

    private SslClientAuthenticationOptions Options(WorkloadIdentity? identity, Action<string> onRefused)
    {
        var policy = WorkloadIdentity.CreateChainPolicy(roots().Roots);
        return new SslClientAuthenticationOptions
        {
            TargetHost = ServerName,
            ClientCertificateContext = identity?.CertificateContext,
            EnabledSslProtocols = SslProtocols.Tls13 | SslProtocols.Tls12,
            ApplicationProtocols = [SslApplicationProtocol.Http2],
            CertificateChainPolicy = policy,
            RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
            {
                if (Problem(certificate, errors) is { } problem)
                {
                    onRefused(problem);
                    return false;
                }

                return true;
            },
        };
    }

    private static string? Problem(X509Certificate? certificate, SslPolicyErrors errors) => certificate switch
    {
        null => "it sent no certificate.",
        _ when (errors & SslPolicyErrors.RemoteCertificateChainErrors) != 0 =>
            $"its certificate '{certificate.Subject}' does not chain to a root in Mesh:TrustBundle, or is not valid now ({certificate.GetEffectiveDateString()} to {certificate.GetExpirationDateString()}). Give the control plane's current bundle.",
        _ when (errors & SslPolicyErrors.RemoteCertificateNameMismatch) != 0 =>
            $"its certificate '{certificate.Subject}' is not for the name '{ServerName}'. Check that Mesh:ControlPlane is the control plane's gRPC address.",
        _ => errors == SslPolicyErrors.None ? null : $"its certificate is not acceptable ({errors}).",
    };
}

/// <summary>Thrown when the server that answered is not the control plane.</summary>
internal sealed class ControlPlaneUntrustedException(string message, Exception inner) : AuthenticationException(message, inner);
