using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Istio;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>Issues X.509-SVIDs: for a join token once, then for the certificate that is to be renewed.</summary>
internal sealed partial class CsrService(
    Issuer issuer, JoinTokens tokens, LeafPolicyStore policy, IssuanceRate rate, IssuanceLog issued, TimeProvider time, ILogger<CsrService> logger)
    : IstioCertificateService.IstioCertificateServiceBase
{
    private const int MaxNodeId = 512;

    /// <inheritdoc/>
    public override Task<IstioCertificateResponse> CreateCertificate(IstioCertificateRequest request, ServerCallContext context)
    {
        try
        {
            return Task.FromResult(Create(request, context));
        }
        catch (RpcException e)
        {
            Log.Refused(logger, context.Peer, e.StatusCode, e.Status.Detail);
            throw;
        }
    }

    private IstioCertificateResponse Create(IstioCertificateRequest request, ServerCallContext context)
    {
        var token = ReadToken(context);
        string? problem;
        SpiffeId id;
        if (token is not null)
        {
            id = tokens.Find(token, out problem) ?? throw Error(StatusCode.Unauthenticated, problem!);
        }
        else
        {
            id = context.GetHttpContext().Features.Get<PeerFeature>()?.Id ?? throw Error(
                StatusCode.Unauthenticated, "Neither a join token nor a valid client certificate came with the CSR. Send 'authorization: Bearer <token>', or the certificate to renew by mTLS.");
        }

        if (!rate.TryTake(id))
        {
            throw Error(StatusCode.ResourceExhausted, $"'{id}' got more than {IssuanceRate.PerMinute} certificates in a minute. Try again later.");
        }

        var csr = SigningRequest.Parse(request.Csr, out problem) ?? throw Error(StatusCode.InvalidArgument, problem!);
        if (csr.NamesProblem(id) is { } namesProblem)
        {
            throw Error(StatusCode.PermissionDenied, namesProblem);
        }

        // Used up last, so that a bad CSR does not cost the token; and before signing, so that it can't be used twice.
        if (token is not null && Redeem(token, out problem) is null)
        {
            throw Error(StatusCode.Unauthenticated, problem!);
        }

        var asked = request.ValidityDuration > 0 ? TimeSpan.FromSeconds(Math.Min(request.ValidityDuration, LeafPolicyStore.LongestLife.TotalSeconds)) : TimeSpan.MaxValue;
        var life = asked < LeafPolicyStore.ShortestLife ? LeafPolicyStore.ShortestLife : asked < policy.LeafLife ? asked : policy.LeafLife;
        var leaf = issuer.IssueWorkload(id, csr.PublicKey, life);
        var serial = leaf.SerialNumber.ToString(16);
        issued.Add(new Issuance(id.ToString(), ReadNode(request) ?? context.Peer, serial, time.GetUtcNow(), leaf.NotBefore, leaf.NotAfter));
        Log.Issued(logger, id, serial, leaf.NotAfter, token is not null);
        return new IstioCertificateResponse { CertChain = { Pems.Write(leaf), issuer.Root.Pem } };
    }

    private SpiffeId? Redeem(string token, out string? problem)
    {
        try
        {
            return tokens.Redeem(token, out problem);
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
            : throw Error(StatusCode.Unauthenticated, "The authorization metadata is not of the form 'Bearer <join token>'.");
    }

    private static RpcException Error(StatusCode code, string message) => new(new Status(code, message));

    private static partial class Log
    {
        [LoggerMessage(4610, LogLevel.Information, "Issued certificate {Serial} to '{Identity}', valid to {NotAfter:u} (joined by token: {ByToken})", EventName = nameof(Issued))]
        public static partial void Issued(ILogger logger, SpiffeId identity, string serial, DateTime notAfter, bool byToken);

        [LoggerMessage(4611, LogLevel.Warning, "Refused to sign a certificate for {Peer}: {Code}: {Problem}", EventName = nameof(Refused))]
        public static partial void Refused(ILogger logger, string peer, StatusCode code, string problem);
    }
}
