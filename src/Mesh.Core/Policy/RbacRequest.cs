using Mesh.Traffic;

namespace Mesh.Policy;

/// <summary>What rules see of a request.</summary>
/// <param name="head">May be null where the engine does not need it: of a connection, before any request is read.</param>
internal readonly struct RbacRequest(RequestHead? head, RbacConnection connection, VerifiedClaims claims)
{
    public RequestHead? Head => head;

    public RbacConnection Connection => connection;

    public VerifiedClaims Claims => claims;
}
