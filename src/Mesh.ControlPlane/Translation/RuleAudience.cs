using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Translation;

/// <summary>Who asks the rules: what it can't be asked is left to the safe side, an Allow never matches for it, a Deny matches without it.</summary>
/// <param name="IsMesh">One of ours: claims, audit, any method. gRPC servers have none of these (gRFC A41).</param>
/// <param name="IsHttp">Requests; else the bytes of a connection.</param>
/// <param name="KnowsNetworks">Tells where a connection comes from. grpc-js does not (docs/foreign-servers.md), and of servers that nobody has looked at it is not believed.</param>
internal readonly record struct RuleAudience(bool IsMesh, bool IsHttp, bool KnowsNetworks)
{
    private const string Core = "gRPC C-core";

    public static RuleAudience OfMesh { get; } = new(IsMesh: true, IsHttp: true, KnowsNetworks: true);

    public static RuleAudience OfMeshConnections { get; } = new(IsMesh: true, IsHttp: false, KnowsNetworks: true);

    public bool KnowsClaims => IsMesh && IsHttp;

    public bool Audits => IsMesh;

    public static RuleAudience Of(NodeContext node) =>
        node.IsMesh ? OfMesh : new(IsMesh: false, IsHttp: true, KnowsNetworks: node.UserAgent.StartsWith(Core, StringComparison.Ordinal));
}
