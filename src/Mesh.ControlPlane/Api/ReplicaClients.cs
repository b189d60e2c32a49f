using System.Text.Json;
using Grpc.Core;
using Mesh.ControlPlane.Model;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;

namespace Mesh.ControlPlane.Api;

/// <summary>Tells other replicas who is connected here: the API's own document, over gRPC between replicas.</summary>
internal sealed class ReplicaClients(ClientList clients, IReplicaPeers peers, IOptions<JsonOptions> json) : ReplicaClientsMethods
{
    /// <inheritdoc/>
    public override Task<byte[]> List(byte[] request, ServerCallContext context) => peers.IsReplica(context.RequestHeaders)
        ? Task.FromResult(JsonSerializer.SerializeToUtf8Bytes(clients.Own, json.Value.SerializerOptions))
        : throw new RpcException(new Status(StatusCode.PermissionDenied, "Only replicas of this control plane ask this."));
}

/// <summary>The service's one method, in the shape that gRPC's binder looks for: its name is the method's, and a base has it.</summary>
[BindServiceMethod(typeof(ReplicaClientsMethods), nameof(Bind))]
internal abstract class ReplicaClientsMethods
{
    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(static b => b, static b => b);

    /// <summary>Nothing is asked; the answer is UTF-8.</summary>
    public static readonly Method<byte[], byte[]> Method = new(MethodType.Unary, "mesh.replicas.v1.Clients", "List", Bytes, Bytes);

    public static void Bind(ServiceBinderBase binder, ReplicaClientsMethods? service) =>
        binder.AddMethod(Method, service is null ? null! : new UnaryServerMethod<byte[], byte[]>(service.List));

    public abstract Task<byte[]> List(byte[] request, ServerCallContext context);
}
