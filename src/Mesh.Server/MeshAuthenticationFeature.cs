using System.Security.Claims;
using Mesh.Spiffe;
using Microsoft.AspNetCore.Http.Features.Authentication;

namespace Mesh.Server;

/// <summary>Puts the caller on <c>HttpContext.User</c>, made when somebody looks: most requests never do.</summary>
internal sealed class MeshAuthenticationFeature(SpiffeId id) : IHttpAuthenticationFeature
{
    public const string AuthenticationType = "Mesh";

    private ClaimsPrincipal? _user;

    public ClaimsPrincipal? User
    {
        get => _user ??= new ClaimsPrincipal(Identity(id.ToString()));
        set => _user = value;
    }

    private static ClaimsIdentity Identity(string id) => new(
        [new Claim(ClaimTypes.NameIdentifier, id, ClaimValueTypes.String, AuthenticationType), new Claim("spiffe_id", id, ClaimValueTypes.String, AuthenticationType)],
        AuthenticationType, ClaimTypes.NameIdentifier, ClaimTypes.Role);
}
