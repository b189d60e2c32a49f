using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Protos.Istio;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Obtains certificates from the control plane's authority: the key is made here and never leaves the process.</summary>
/// <remarks>First issue: bearer token over server-authenticated TLS. Renewal: mTLS with the current certificate, because join tokens are single use; the token again when that is refused.</remarks>
/// <param name="nodeId">What this process calls itself on its ADS stream: lets an operator see which process renewed.</param>
/// <param name="clusterId">What istiod calls our cluster, sent as <c>clusterid</c>; null for a control plane of ours.</param>
internal sealed class CaSvidSource(Uri address, SpiffeId id, string nodeId, ControlPlaneDialer dialer, Func<string?> readToken, TimeProvider time, string? clusterId = null) : ISvidSource
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(20);

    /// <inheritdoc/>
    public async Task<IssuedSvid> FetchAsync(WorkloadIdentity? current, CancellationToken cancellationToken)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new IstioCertificateRequest
        {
            Csr = CreateCsr(key, id),
            Metadata = new Struct { Fields = { ["NODE_ID"] = Value.ForString(nodeId) } },
        };
        if (current is not null && time.GetUtcNow() < current.Svid.NotAfter)
        {
            try
            {
                return Read(await CallAsync(request, current, null, cancellationToken).ConfigureAwait(false), key);
            }
            catch (SvidException e) when (IsRefusal(e) && HasToken())
            {
                // A restored control plane may not know this certificate: prove it with the token instead.
                return await FetchByTokenAsync(request, key, e, cancellationToken).ConfigureAwait(false);
            }
        }

        var token = Token() ?? throw new SvidException(
            current is null
                ? $"No token to ask a certificate for '{id}' with. Set Mesh:Token or Mesh:TokenFile."
                : $"The certificate of '{id}' ended at {current.Svid.NotAfter:u} and there is no token to ask for a new one. Set Mesh:TokenFile to a file with a fresh token.",
            needsPerson: true);
        return Read(await CallAsync(request, null, token, cancellationToken).ConfigureAwait(false), key);
    }

    private async Task<IssuedSvid> FetchByTokenAsync(IstioCertificateRequest request, ECDsa key, SvidException refusal, CancellationToken cancellationToken)
    {
        try
        {
            return Read(await CallAsync(request, null, Token(), cancellationToken).ConfigureAwait(false), key);
        }
        catch (SvidException e)
        {
            throw new SvidException($"The certificate of '{id}' could not be renewed, neither with itself nor with the token. With itself: {refusal.Message} With the token: {e.Message}", e.NeedsPerson, e);
        }
    }

    /// <summary>Whether the control plane was reached and did not take our certificate: by its answer, or by breaking off the TLS handshake.</summary>
    /// <remarks>With TLS 1.3 the client's part of the handshake ends before the server judges its certificate: the refusal appears as a broken connection at the first read.</remarks>
    private static bool IsRefusal(SvidException e)
    {
        if (e.InnerException is not RpcException rpc)
        {
            return false;
        }

        if (rpc.StatusCode is StatusCode.Unauthenticated or StatusCode.PermissionDenied)
        {
            return true;
        }

        var broke = false;
        for (var cause = rpc.Status.DebugException; cause is not null; cause = cause.InnerException)
        {
            // Not reached, not in time, or not to be trusted: the token would fare no better, or must not be shown.
            if (cause is ControlPlaneUntrustedException or SvidException or OperationCanceledException or TimeoutException
                or SocketException { SocketErrorCode: not (SocketError.ConnectionReset or SocketError.ConnectionAborted or SocketError.Shutdown) })
            {
                return false;
            }

            broke |= cause is HttpRequestException or AuthenticationException or IOException or SocketException;
        }

        return broke;
    }

    private bool HasToken()
    {
        try
        {
            return Token() is not null;
        }
        catch (SvidException)
        {
            return false;
        }
    }

    private string? Token()
    {
        try
        {
            var token = readToken()?.Trim();
            if (token.AsSpan().ContainsAnyExceptInRange('!', '~'))
            {
                // The value itself stays out of the message.
                throw new SvidException("The token holds characters that no token has. Check Mesh:Token or Mesh:TokenFile: one line of printable ASCII without spaces.", needsPerson: true);
            }

            return token is { Length: > 0 } ? token : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SvidException($"The token file cannot be read: {e.Message} Check Mesh:TokenFile.", needsPerson: true, e);
        }
    }

    private async Task<IstioCertificateResponse> CallAsync(IstioCertificateRequest request, WorkloadIdentity? identity, string? token, CancellationToken cancellationToken)
    {
        // A channel per issue: twice a day, and each must show exactly this certificate or none.
        using var channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = dialer.CreateHandler(() => identity), DisposeHttpClient = true });
        using var timeout = new CancellationTokenSource(Timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            var headers = new Metadata();
            if (token is not null)
            {
                headers.Add("authorization", $"Bearer {token}");
            }

            if (clusterId is not null)
            {
                headers.Add("clusterid", clusterId);
            }

            return await new IstioCertificateService.IstioCertificateServiceClient(channel)
                .CreateCertificateAsync(request, headers, cancellationToken: both.Token).ResponseAsync.ConfigureAwait(false);
        }
        catch (RpcException) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        catch (RpcException e)
        {
            throw Explain(e, token is not null, timeout.IsCancellationRequested);
        }
    }

    private SvidException Explain(RpcException e, bool withToken, bool timedOut)
    {
        if (ControlPlaneDialer.FindUntrusted(e.Status.DebugException) is { } untrusted)
        {
            return new SvidException(untrusted.Message, needsPerson: true, e);
        }

        var proof = withToken ? "token" : "current certificate";
        return e.StatusCode switch
        {
            StatusCode.Unauthenticated => new SvidException(
                $"The control plane at {address} refused the {proof}: {e.Status.Detail} Get a fresh join token (they are single use) and set Mesh:Token or Mesh:TokenFile.", needsPerson: true, e),
            StatusCode.PermissionDenied => new SvidException(
                $"The control plane at {address} does not let this {proof} have the identity '{id}': {e.Status.Detail} Check Mesh:Namespace, Mesh:ServiceAccount and Mesh:TrustDomain against what the token was made for.", needsPerson: true, e),
            StatusCode.InvalidArgument => new SvidException($"The control plane at {address} refused the request for '{id}': {e.Status.Detail}", needsPerson: true, e),
            _ when timedOut => new SvidException($"The control plane at {address} did not answer within {Timeout.TotalSeconds:0} s.", needsPerson: false, e),
            _ => new SvidException(
                $"The control plane at {address} could not be asked for a certificate: {Reason(e)} ({e.StatusCode})", needsPerson: false, e),
        };
    }

    private static string Reason(RpcException e) => e.Status.DebugException?.GetBaseException().Message ?? e.Status.Detail;

    /// <summary>The authority is believed only as far as its answer can be checked.</summary>
    private IssuedSvid Read(IstioCertificateResponse response, ECDsa key)
    {
        var chain = new X509Certificate2Collection();
        try
        {
            foreach (var pem in response.CertChain)
            {
                chain.ImportFromPem(pem);
            }
        }
        catch (CryptographicException e)
        {
            throw Wrong($"it is not PEM: {e.Message}", e);
        }

        if (chain.Count < 2)
        {
            throw Wrong($"it holds {chain.Count} certificates, expected the leaf first and its root after it");
        }

        var leaf = chain[0];
        if (!leaf.PublicKey.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(key.ExportSubjectPublicKeyInfo()))
        {
            throw Wrong("it certifies another key than ours");
        }

        if (!SpiffeCertificate.TryReadId(leaf, out var certified, out var error))
        {
            throw Wrong(error.TrimEnd('.'));
        }

        if (certified != id)
        {
            throw Wrong($"it certifies '{certified}', asked was '{id}'");
        }

        // During a rotation of the root there are two, and both vouch for peers.
        var bundle = new TrustBundle(id.TrustDomain, SvidReader.Roots(chain.Skip(1)));
        if (bundle.Roots.Count == 0)
        {
            throw Wrong("it holds no root: none of the certificates after the leaf is signed by itself");
        }

        return SvidReader.TryRead(leaf.CopyWithPrivateKey(key), chain.Skip(1), bundle, time.GetUtcNow(), out var svid, out var problem)
            ? new IssuedSvid(svid, bundle)
            : throw Wrong(problem);
    }

    private SvidException Wrong(string problem, Exception? inner = null) =>
        new($"The control plane at {address} answered with a certificate for '{id}' that cannot be used: {problem}.", needsPerson: true, inner);

    private static string CreateCsr(ECDsa key, SpiffeId id)
    {
        var request = new CertificateRequest(new X500DistinguishedName([0x30, 0x00]), key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri(id.ToString()));
        request.CertificateExtensions.Add(names.Build(critical: true));
        return request.CreateSigningRequestPem();
    }
}
