using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using Mesh.Identity;
using Mesh.Protos.SpiffeWorkload;
using Microsoft.Extensions.Hosting;

namespace Mesh.Cli.Agent;

/// <summary>The X.509 part of the SPIFFE Workload API for one identity: every change goes to every stream at once.</summary>
/// <remarks>JWT-SVIDs are not offered: the mesh's authority signs no tokens.</remarks>
internal sealed class WorkloadApiService(IWorkloadIdentitySource source, IHostApplicationLifetime lifetime) : SpiffeWorkloadAPI.SpiffeWorkloadAPIBase
{
    public override Task FetchX509SVID(X509SVIDRequest request, IServerStreamWriter<X509SVIDResponse> responseStream, ServerCallContext context) =>
        StreamAsync(context, identity => responseStream.WriteAsync(Svid(identity), context.CancellationToken));

    public override Task FetchX509Bundles(X509BundlesRequest request, IServerStreamWriter<X509BundlesResponse> responseStream, ServerCallContext context) =>
        StreamAsync(context, identity => responseStream.WriteAsync(
            new X509BundlesResponse { Bundles = { [$"spiffe://{identity.Bundle.TrustDomain}"] = Der(identity.Bundle.Roots) } }, context.CancellationToken));

    public override Task<JWTSVIDResponse> FetchJWTSVID(JWTSVIDRequest request, ServerCallContext context) => throw NotOffered(context);

    public override Task FetchJWTBundles(JWTBundlesRequest request, IServerStreamWriter<JWTBundlesResponse> responseStream, ServerCallContext context) => throw NotOffered(context);

    public override Task<ValidateJWTSVIDResponse> ValidateJWTSVID(ValidateJWTSVIDRequest request, ServerCallContext context) => throw NotOffered(context);

    private static X509SVIDResponse Svid(WorkloadIdentity identity) => new()
    {
        Svids =
        {
            new X509SVID
            {
                SpiffeId = identity.Svid.Id.ToString(),
                X509Svid = Der([identity.Svid.Leaf, .. identity.Svid.Intermediates]),
                X509SvidKey = ByteString.CopyFrom(Key(identity.Svid.Leaf)),
                Bundle = Der(identity.Bundle.Roots),
            },
        },
    };

    private static byte[] Key(X509Certificate2 leaf)
    {
        using var key = (System.Security.Cryptography.AsymmetricAlgorithm?)leaf.GetECDsaPrivateKey() ?? leaf.GetRSAPrivateKey()
            ?? throw new RpcException(new Status(StatusCode.Internal, "The certificate has no private key that can be handed on."));
        return key.ExportPkcs8PrivateKey();
    }

    private static ByteString Der(IEnumerable<X509Certificate2> certificates) => ByteString.CopyFrom([.. certificates.SelectMany(certificate => certificate.RawData)]);

    /// <summary>The newest identity and every later one, until the caller or the agent ends. One that is replaced before it could be sent is not.</summary>
    private async Task StreamAsync(ServerCallContext context, Func<WorkloadIdentity, Task> send)
    {
        CheckHeader(context);
        var changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        using var subscription = source.Subscribe(_ => changes.Writer.TryWrite(true));
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        try
        {
            WorkloadIdentity? sent = null;
            await foreach (var _ in changes.Reader.ReadAllAsync(either.Token))
            {
                if (source.Current is { } newest && newest != sent)
                {
                    await send(newest);
                    sent = newest;
                }
            }
        }
        catch (OperationCanceledException) when (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, "The agent is stopping."));
        }
    }

    private static RpcException NotOffered(ServerCallContext context)
    {
        CheckHeader(context);
        return new RpcException(new Status(StatusCode.Unimplemented, "This agent offers X.509-SVIDs only: the mesh's authority signs no JWT-SVIDs."));
    }

    /// <summary>SPIFFE Workload Endpoint §6: only who means to talk to a Workload API sends it.</summary>
    private static void CheckHeader(ServerCallContext context)
    {
        if (context.RequestHeaders.GetValue(WorkloadApiSvidSource.SecurityHeader) != "true")
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"The header '{WorkloadApiSvidSource.SecurityHeader}: true' is missing."));
        }
    }
}
