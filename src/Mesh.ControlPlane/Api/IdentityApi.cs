using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Xds;
using Mesh.Spiffe;
using Microsoft.AspNetCore.Mvc;

namespace Mesh.ControlPlane.Api;

/// <summary>Certificates: who has which, changing them, and no longer believing some.</summary>
internal static class IdentityApi
{
    private const int MaxReason = 500;

    public static void Map(IEndpointRouteBuilder api)
    {
        api.MapGet("/v1/identities", (IssuanceLog log) => log.Newest);
        api.MapGet("/v1/identity/workloads", IdentityList.Of);
        api.MapGet("/v1/identity/workloads/show", Show).Produces<IReadOnlyList<IdentityDetails>>();
        api.MapPut("/v1/identity/leaf_life", SetLeafLifeAsync);
        api.MapPost("/v1/identity/rotate", async (IAuthorityChanges changes, CancellationToken cancellationToken) =>
            new { issued_after = await changes.ChangeAsync(s => s.LeafPolicy.Rotate(), cancellationToken) });
        api.MapGet("/v1/identity/root", RootStatus.Of);
        api.MapPost("/v1/identity/root/rotate", RotateRootAsync).Produces<RootStatus>();
        api.MapGet("/v1/identity/revocations", (TrustBundleStore trust) => trust.Revocations);
        api.MapPost("/v1/identity/revocations", RevokeAsync);
        api.MapDelete("/v1/identity/revocations", ([FromBody] RevocationRequest? request, IAuthorityChanges changes, MeshControlPlaneOptions options, CancellationToken cancellationToken) => UndoAsync(request, changes, options, cancellationToken));
    }

    private static async Task<IResult> SetLeafLifeAsync(LeafLifeRequest? request, IAuthorityChanges changes, CancellationToken cancellationToken)
    {
        var (shortest, longest) = (LeafPolicyStore.ShortestLife.TotalSeconds, LeafPolicyStore.LongestLife.TotalSeconds);
        if (request is null || !(request.Seconds >= shortest) || !(request.Seconds <= longest))
        {
            return ApiEndpoints.Problem(400, "Bad life", $"seconds is '{request?.Seconds}'. Give {shortest}–{longest}.");
        }

        await changes.ChangeAsync(s => s.LeafPolicy.LeafLife = TimeSpan.FromSeconds(request.Seconds!.Value), cancellationToken);
        return Results.Ok(new { seconds = request.Seconds });
    }

    private static IResult Show(
        IssuanceLog log, ClientRegistry clients, MeshAuthority authority, TrustBundleStore trust, MeshControlPlaneOptions options, TimeProvider time, string? id)
    {
        if (!TryId(id, options.TrustDomain, out var identity))
        {
            return BadId(id);
        }

        var found = IdentityDetails.Of(IdentityList.Of(log, clients, trust, time).Where(w => w.Identity == identity.ToString()), authority.State, trust.Current);
        return found.Count > 0
            ? Results.Ok(found)
            : ApiEndpoints.Problem(404, "No such workload", $"No workload has a certificate for '{identity}' that is not over. 'mesh identity list' shows those that have.");
    }

    private static async Task<IResult> RotateRootAsync(
        IAuthorityChanges changes, AuthorityKeeper keeper, TrustBundleStore trust, IssuanceLog log, TimeProvider time, CancellationToken cancellationToken) =>
        await changes.ChangeAsync(s => s.Authority.Rotate("asked for"), cancellationToken) is { } problem
            ? ApiEndpoints.Problem(409, "Not now", problem)
            : Results.Ok(RootStatus.Of(keeper, trust, log, time));

    private static async Task<IResult> RevokeAsync(
        RevocationRequest? request, IAuthorityChanges changes, IssuanceLog log, MeshControlPlaneOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!TryRead(request, options, out var id, out var serial, out var bad))
        {
            return bad;
        }

        if (request!.Reason is { Length: > MaxReason })
        {
            return ApiEndpoints.Problem(400, "Bad reason", $"reason has {request.Reason.Length} characters. Give at most {MaxReason}.");
        }

        // Of a certificate whose end we do not know the entry has none: an issuer may live for years.
        var until = serial is null ? null : log.Live.FirstOrDefault(i => i.Serial == serial)?.NotAfter;
        var revocation = new Revocation(id, serial, request.Reason, time.GetUtcNow(), until);
        if (revocation.ProblemIn(TrustDomain.Parse(options.TrustDomain)) is { } problem)
        {
            return ApiEndpoints.Problem(400, "Bad revocation", problem);
        }

        return await changes.ChangeAsync(
            s =>
            {
                if (SignerProblem(s.Authority.State, serial) is { } signs)
                {
                    return ApiEndpoints.Problem(409, "It signs", signs);
                }

                try
                {
                    return Results.Ok(s.Trust.Revoke(revocation));
                }
                catch (InvalidOperationException e)
                {
                    return ApiEndpoints.Problem(429, "Too many revocations", e.Message);
                }
            },
            cancellationToken);
    }

    /// <summary>Why an issuer can't be revoked yet: everything under it would be refused at once, and what is signed next as well.</summary>
    private static string? SignerProblem(TrustState state, string? serial)
    {
        var signer = Stands(state.Signing) ? state.Signing : state.Next is { } next && Stands(next) ? next : null;
        if (signer is null)
        {
            return null;
        }

        var when = ReferenceEquals(signer, state.Signing) ? "now" : "next";
        var first = signer.Origin switch
        {
            AuthorityOrigin.Own => "First change root and issuer: 'mesh identity rotate --root'",
            AuthorityOrigin.GivenRoot => "First restart the control plane with another root in --root-cert and --root-key",
            _ => "First put another issuer into the issuer's files: they are read again within seconds",
        };
        return $"{serial} is an issuer that signs {when}: every certificate under it would be refused at once, new ones too. {first}. Revoke it when others sign, at best when every workload has renewed.";

        bool Stands(SigningAuthority authority) => authority.Intermediates.Any(i => Certificates.Serial(i) == serial);
    }

    private static async Task<IResult> UndoAsync(RevocationRequest? request, IAuthorityChanges changes, MeshControlPlaneOptions options, CancellationToken cancellationToken) =>
        !TryRead(request, options, out var id, out var serial, out var bad) ? bad
        : await changes.ChangeAsync(s => s.Trust.Undo(id, serial), cancellationToken) ? Results.Ok(new { id, serial })
        : ApiEndpoints.Problem(404, "No such revocation", $"'{id ?? serial}' is not revoked. GET /api/v1/identity/revocations lists what is.");

    private static bool TryRead(RevocationRequest? request, MeshControlPlaneOptions options, out string? id, out string? serial, out IResult bad)
    {
        (id, serial, bad) = (null, null, Results.Ok());
        if (request is null || (request.Id is null) == (request.Serial is null))
        {
            bad = ApiEndpoints.Problem(400, "Bad revocation", "Give either 'id', a SPIFFE ID or namespace/service-account, or 'serial', the hexadecimal serial number of one certificate.");
            return false;
        }

        if (request.Serial is not null)
        {
            serial = Certificates.NormalSerial(request.Serial);
            bad = serial is null ? ApiEndpoints.Problem(400, "Bad serial", $"'{Shorten(request.Serial)}' is no serial number. Give 1–{Certificates.MaxSerialDigits} hexadecimal digits, as 'mesh identity list' shows them.") : bad;
            return serial is not null;
        }

        if (!TryId(request.Id, options.TrustDomain, out var identity))
        {
            bad = BadId(request.Id);
            return false;
        }

        id = identity.ToString();
        return true;
    }

    private static string Shorten(string text) => text.Length <= 100 ? text : text[..100] + "…";

    private static IResult BadId(string? id) =>
        ApiEndpoints.Problem(400, "Bad identity", $"'{id}' is neither a SPIFFE ID such as spiffe://cluster.local/ns/shop/sa/cart nor namespace/service-account such as shop/cart.");

    private static bool TryId(string? text, string trustDomain, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out SpiffeId? id)
    {
        id = null;
        return SpiffeId.TryParse(text, out id)
            || (text?.Split('/') is [{ Length: > 0 } ns, { Length: > 0 } account] && SpiffeId.TryParse($"spiffe://{trustDomain}/ns/{ns}/sa/{account}", out id));
    }

    private sealed record LeafLifeRequest(double? Seconds);

    private sealed record RevocationRequest(string? Id, string? Serial, string? Reason);
}
