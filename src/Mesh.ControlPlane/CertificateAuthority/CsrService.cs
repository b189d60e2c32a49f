using Grpc.Core;
using Mesh.ControlPlane.CertificateAuthority.Attestation;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Istio;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>Issues X.509-SVIDs: for a token that shows who the workload is, then for the certificate that is to be renewed.</summary>
internal sealed partial class CsrService(
    Issuer issuer, Attestors attestors, LeafPolicyStore policy, IssuanceRate rate, IssuanceLog issued, TrustBundleStore trust, ILogger<CsrService> logger)
    : IstioCertificateService.IstioCertificateServiceBase
{
    private const int MaxNodeId = 512;

    /// <inheritdoc/>
    public override async Task<IstioCertificateResponse> CreateCertificate(IstioCertificateRequest request, ServerCallContext context)
    {
        try
        {
            return await CreateAsync(request, context);
        }
        catch (RpcException e)
        {
            issued.CountRefused();
            Log.Refused(logger, context.Peer, e.StatusCode, e.Status.Detail);
            throw;
        }
    }

    private async Task<IstioCertificateResponse> CreateAsync(IstioCertificateRequest request, ServerCallContext context)
    {
        var token = ReadToken(context);
        var peer = context.GetHttpContext().Features.Get<PeerFeature>();
        var attested = token is not null ? await attestors.AttestAsync(token, context.CancellationToken)
            : peer is { Id: { } known } ? Attested.Good(known, $"certificate {peer.Serial}")
            : throw Error(
                StatusCode.Unauthenticated, "Neither a token nor a valid client certificate came with the CSR. Send 'authorization: Bearer <token>', or the certificate to renew by mTLS.");
        var id = attested.Kind switch
        {
            AttestedKind.Good => attested.Id!,
            AttestedKind.Unavailable => throw Error(StatusCode.Unavailable, attested.Detail),
            _ => throw Error(StatusCode.Unauthenticated, attested.Detail),
        };
        if (trust.Current.RevocationOf(id, token is null ? peer!.Serial : null) is { } revoked)
        {
            throw Error(StatusCode.PermissionDenied, revoked);
        }

        // What is refused from here on counts as well: signing costs little, reading what was sent may not.
        if (!rate.TryTake(id))
        {
            throw Error(StatusCode.ResourceExhausted, $"'{id}' asked for more than {IssuanceRate.PerMinute} certificates in a minute. Try again later.");
        }

        var csr = SigningRequest.Parse(request.Csr, out var problem) ?? throw Error(StatusCode.InvalidArgument, problem!);
        if (csr.NamesProblem(id) is { } namesProblem)
        {
            throw Error(StatusCode.PermissionDenied, namesProblem);
        }

        // Used up last, so that a bad CSR does not cost the token; and before signing, so that it can't be used twice.
        if (token is not null && Use(attested.By!, token) is { } used)
        {
            throw Error(StatusCode.Unauthenticated, used);
        }

        var asked = request.ValidityDuration > 0 ? TimeSpan.FromSeconds(Math.Min(request.ValidityDuration, LeafPolicyStore.LongestLife.TotalSeconds)) : TimeSpan.MaxValue;
        var life = asked < LeafPolicyStore.ShortestLife ? LeafPolicyStore.ShortestLife : asked < policy.LeafLife ? asked : policy.LeafLife;
        var leaf = issuer.IssueWorkload(id, csr.PublicKey, life, ReadNode(request) ?? context.Peer, attested.Detail);
        Log.Issued(logger, id, Certificates.Serial(leaf.Leaf), leaf.Leaf.NotAfter, attested.Detail);
        var response = new IstioCertificateResponse();
        response.CertChain.AddRange(leaf.Chain.Select(Pems.Write));
        return response;
    }

    private static string? Use(IAttestor attestor, string token)
    {
        try
        {
            return attestor.Use(token);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Error(StatusCode.Unavailable, $"The control plane can't note that the token is used, so it issues nothing: {e.Message} Make its data folder writable; the token stays good.");
        }
    }

    /// <summary>What the workload calls itself on its ADS stream. Only shown to people: nobody has verified it.</summary>
    private static string? ReadNode(IstioCertificateRequest request) =>
        request.Metadata is { } metadata && metadata.Fields.TryGetValue("NODE_ID", out var node)
        && node.StringValue is { Length: > 0 and <= MaxNodeId } text && !text.AsSpan().ContainsAnyExceptInRange(' ', '~')
            ? text
            : null;

    private static string? ReadToken(ServerCallContext context)
    {
        const string Scheme = "Bearer ";
        var value = context.RequestHeaders.GetValue("authorization");
        if (value is null)
        {
            return null;
        }

        return value.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
            ? value[Scheme.Length..].Trim()
            : throw Error(StatusCode.Unauthenticated, "The authorization metadata is not of the form 'Bearer <token>'.");
    }

    private static RpcException Error(StatusCode code, string message) => new(new Status(code, message));

    private static partial class Log
    {
        [LoggerMessage(4610, LogLevel.Information, "Issued certificate {Serial} to '{Identity}', valid to {NotAfter:u}, shown by: {Attested}", EventName = nameof(Issued))]
        public static partial void Issued(ILogger logger, SpiffeId identity, string serial, DateTime notAfter, string attested);

        [LoggerMessage(4611, LogLevel.Warning, "Refused to sign a certificate for {Peer}: {Code}: {Problem}", EventName = nameof(Refused))]
        public static partial void Refused(ILogger logger, string peer, StatusCode code, string problem);
    }
}
