using Grpc.Core;
using Mesh.EndToEnd.Tests.Protos;

namespace Mesh.EndToEnd.Tests;

/// <summary>Answers with the replica's name.</summary>
internal sealed class WhoAmIService(WhoAmIService.Replica replica) : WhoAmI.WhoAmIBase
{
    internal sealed record Replica(string Name);

    public override Task<Answer> Ask(Question request, ServerCallContext context) => Task.FromResult(new Answer { Replica = replica.Name });
}
