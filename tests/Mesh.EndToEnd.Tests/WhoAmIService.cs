using Grpc.Core;
using Mesh.EndToEnd.Tests.Protos;
using Mesh.Server;

namespace Mesh.EndToEnd.Tests;

/// <summary>Answers with the replica's name, and with the name of who asked.</summary>
internal sealed class WhoAmIService(WhoAmIService.Replica replica) : WhoAmI.WhoAmIBase
{
    internal sealed record Replica(string Name);

    public override Task<Answer> Ask(Question request, ServerCallContext context) => Task.FromResult(new Answer
    {
        Replica = replica.Name,
        Caller = context.GetHttpContext().Features.Get<MeshPeerFeature>()?.Id.ToString() ?? "",
    });
}
