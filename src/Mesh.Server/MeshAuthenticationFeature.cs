using System.Security.Claims;
using Mesh.Spiffe;
using Microsoft.AspNetCore.Http.Features.Authentication;

namespace Mesh.Server;

/// <summary>Puts the caller on <c>HttpContext.User</c>, made when somebody looks: most requests never do.</summary>
/// <remarks>
/// The identity is labelled <c>Mesh</c> and not "authenticated": it says which workload calls, not which user, and a plain <c>[Authorize]</c> must not begin
/// to let every workload in because <c>UseMesh()</c> was added. The app's own authentication replaces it; <see cref="MeshPeerFeature"/> stays.
/// </remarks>
internal sealed class MeshAuthenticationFeature(SpiffeId id) : IHttpAuthenticationFeature
{
    public const string Label = "Mesh";
    public const string ClaimType = "spiffe_id";

    private ClaimsPrincipal? _user;

    public ClaimsPrincipal? User
    {
        get => _user ??= new ClaimsPrincipal(Caller());
        set => _user = value;
    }

    private ClaimsIdentity Caller() => new([new Claim(ClaimType, id.ToString(), ClaimValueTypes.String, Label)]) { Label = Label };
}
