using Mesh.Inbound;
using Mesh.Policy;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;

namespace Mesh.Server;

internal sealed partial class MeshMiddleware
{
    /// <summary>To the limits, if the request may be made at all: who may not call must not use up anyone's limits.</summary>
    /// <param name="policy">The one in force when the request came: all of it is judged by the same.</param>
    private Task JudgedAsync(HttpContext context, MeshConnectionFeature connection, InboundPolicy policy, VerifiedClaims claims, Deadline? deadline)
    {
        if (policy.Authorizer(connection.IsMeshTls) is { } authorizer && !authorization.Allows(context, connection, authorizer, claims))
        {
            return InboundRefusal.DenyAsync(context);
        }

        return policy.Limits(connection.IsMeshTls) is { } limiter ? LimitedAsync(context, connection, limiter, deadline) : AppAsync(context, deadline);
    }
}
