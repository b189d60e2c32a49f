namespace Mesh.ControlPlane.Translation;

/// <summary>Who asks the rules: what it can't be asked is left to the safe side, an Allow never matches for it, a Deny matches without it.</summary>
/// <param name="IsMesh">One of ours: claims, audit, any method. gRPC servers have none of these (gRFC A41).</param>
/// <param name="IsHttp">Requests; else the bytes of a connection.</param>
internal readonly record struct RuleAudience(bool IsMesh, bool IsHttp)
{
    public bool KnowsClaims => IsMesh && IsHttp;

    public bool Audits => IsMesh;
}
