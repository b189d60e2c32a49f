using System.Security.Claims;
using System.Text.Json;
using Mesh.Inbound;
using Mesh.Spiffe;
using Microsoft.AspNetCore.Http.Features.Authentication;

namespace Mesh.Server;

/// <summary>Puts the caller, and the users of verified tokens, on <c>HttpContext.User</c>, made when somebody looks: most requests never do.</summary>
/// <remarks>
/// The caller's identity is labelled <c>Mesh</c> and not "authenticated": it says which workload calls, not which user, and a plain <c>[Authorize]</c> must not begin
/// to let every workload in because <c>UseMesh()</c> was added. A token's identity is a user's: it is authenticated, by <see cref="TokenType"/>, and comes first, because
/// ASP.NET Core asks the first. The app's own authentication replaces both; <see cref="MeshPeerFeature"/> stays.
/// </remarks>
/// <param name="id">The calling workload; null when it is not known.</param>
/// <param name="tokens">Null is none.</param>
internal sealed class MeshAuthenticationFeature(SpiffeId? id, IReadOnlyList<FoundToken>? tokens = null) : IHttpAuthenticationFeature
{
    public const string Label = "Mesh";
    public const string ClaimType = "spiffe_id";

    /// <summary><see cref="ClaimsIdentity.AuthenticationType"/> of a token's identity.</summary>
    public const string TokenType = "Mesh.Jwt";

    // Not "name", which two users may share.
    private const string NameClaim = "sub";
    private const string RoleClaim = "roles";

    private ClaimsPrincipal? _user;

    public ClaimsPrincipal? User
    {
        get => _user ??= Principal();
        set => _user = value;
    }

    private ClaimsPrincipal Principal()
    {
        var user = new ClaimsPrincipal();
        foreach (var found in tokens ?? [])
        {
            user.AddIdentity(new ClaimsIdentity(Claims(found.Token.Payload, found.Token.Provider.Issuer), TokenType, NameClaim, RoleClaim));
        }

        if (id is not null)
        {
            user.AddIdentity(new ClaimsIdentity([new Claim(ClaimType, id.ToString(), ClaimValueTypes.String, Label)]) { Label = Label });
        }

        return user;
    }

    /// <summary>Under the names that the token has; a list is a claim for each of its items.</summary>
    private static List<Claim> Claims(JsonElement payload, string issuer)
    {
        var claims = new List<Claim>();
        foreach (var member in payload.EnumerateObject())
        {
            // Who calls is the certificate's to say.
            if (member.Name == ClaimType)
            {
                continue;
            }

            if (member.Value.ValueKind != JsonValueKind.Array)
            {
                Add(member.Name, member.Value);
                continue;
            }

            foreach (var item in member.Value.EnumerateArray())
            {
                Add(member.Name, item);
            }
        }

        return claims;

        void Add(string name, JsonElement value)
        {
            var (text, type) = value.ValueKind switch
            {
                JsonValueKind.String => (value.GetString(), ClaimValueTypes.String),
                JsonValueKind.Number => (value.GetRawText(), value.TryGetInt64(out _) ? ClaimValueTypes.Integer64 : ClaimValueTypes.Double),
                JsonValueKind.True => ("true", ClaimValueTypes.Boolean),
                JsonValueKind.False => ("false", ClaimValueTypes.Boolean),
                JsonValueKind.Null or JsonValueKind.Undefined => (null, string.Empty),
                _ => (value.GetRawText(), "JSON"),
            };
            if (text is not null)
            {
                claims.Add(new Claim(name, text, type, issuer));
            }
        }
    }
}
