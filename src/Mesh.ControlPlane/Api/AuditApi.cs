namespace Mesh.ControlPlane.Api;

/// <summary>Who tapped and changed what.</summary>
internal static class AuditApi
{
    public static void Map(IEndpointRouteBuilder api) =>
        api.MapGet("/v1/audit", (IAuditLog audit) => new AuditAnswer(audit.Newest)).Needs(ApiRight.Change);
}

/// <param name="Items">Newest first; at most 1,000.</param>
internal sealed record AuditAnswer(IReadOnlyList<AuditEntry> Items);
