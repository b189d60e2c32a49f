using Microsoft.AspNetCore.Http.Features;

namespace Mesh.ControlPlane.Api;

/// <summary>Lets in whoever may: knows the caller by its token, asks the right that the endpoint takes, and has what is tapped or changed written down. Before anything of the request is read.</summary>
internal sealed class ApiGate(ApiTokens tokens, IServiceProvider services, IAuditLog audit)
{
    /// <summary>In place of Authorization, which the proxy of a Kubernetes API server keeps for itself.</summary>
    public const string TokenHeader = "X-Mesh-Token";

    public const string Root = "/api";

    /// <summary>What is sent here is a handful of fields.</summary>
    public const long MostBodyBytes = 256 * 1024;

    private const string Scheme = "Bearer ";
    private readonly IApiAccess? _access = services.GetService<IApiAccess>();

    public async Task HandleAsync(HttpContext context, RequestDelegate next)
    {
        if (!context.Request.Path.StartsWithSegments(Root))
        {
            await next(context);
            return;
        }

        var right = NeedsRight.Of(context.GetEndpoint(), context.Request.Method);
        var (caller, refusal) = await KnowAsync(context, right);
        if (caller is null)
        {
            await refusal!.ExecuteAsync(context);
            return;
        }

        context.Features.Set(caller);
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = MostBodyBytes;
        }

        if (caller.Right < right)
        {
            audit.Write(context, $"{What(context)} was refused", StatusCodes.Status403Forbidden);
            await refusal!.ExecuteAsync(context);
            return;
        }

        if (right == ApiRight.View)
        {
            await next(context);
            return;
        }

        var written = false;
        context.Response.OnStarting(() =>
        {
            // A tap goes on for long: it is told when it begins.
            written = true;
            audit.Write(context, What(context), context.Response.StatusCode);
            return Task.CompletedTask;
        });
        try
        {
            await next(context);
        }
        finally
        {
            if (!written && !context.Response.HasStarted)
            {
                audit.Write(context, $"{What(context)} ended without an answer", context.RequestAborted.IsCancellationRequested ? StatusCodes.Status499ClientClosedRequest : context.Response.StatusCode);
            }
        }
    }

    /// <summary>What the caller may, of all that there is.</summary>
    public async ValueTask<IReadOnlyList<ApiRight>> RightsAsync(HttpContext context)
    {
        var rights = new List<ApiRight>();
        foreach (var right in Enum.GetValues<ApiRight>())
        {
            if ((await KnowAsync(context, right)).Caller is { } caller && caller.Right >= right)
            {
                rights.Add(right);
            }
        }

        return rights;
    }

    /// <summary>Whether whoever asks may see what is.</summary>
    public async ValueTask<bool> MayViewAsync(HttpContext context) => (await KnowAsync(context, ApiRight.View)) is { Caller: { } } and { Refusal: null };

    private static string What(HttpContext context) => $"{context.Request.Method} {context.Request.Path}{context.Request.QueryString}";

    private static string Token(HttpContext context)
    {
        var header = context.Request.Headers.Authorization.ToString();
        return header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : context.Request.Headers[TokenHeader].ToString();
    }

    /// <returns>Who it is, and why not when that is nobody or may not.</returns>
    private async ValueTask<(ApiCaller? Caller, IResult? Refusal)> KnowAsync(HttpContext context, ApiRight right)
    {
        var token = Token(context);
        if (token.Length > 0)
        {
            if (tokens.Find(token) is { } own)
            {
                return (own, own.Right >= right ? null : ApiEndpoints.Problem(403, "Not permitted", $"This token may {Lower(own.Right)}, and this takes the right to {Lower(right)}. {Where(right)}"));
            }

            if (_access is not null)
            {
                var verdict = await _access.JudgeAsync(token, right, context.RequestAborted);
                return verdict.Status == StatusCodes.Status200OK ? (new ApiCaller(verdict.Who, right), null)
                    : (verdict is { Status: StatusCodes.Status403Forbidden, Who.Length: > 0 } && right > ApiRight.View ? new ApiCaller(verdict.Who, ApiRight.View) : null,
                        ApiEndpoints.Problem(verdict.Status, verdict.Status == StatusCodes.Status503ServiceUnavailable ? "Not now" : "Not permitted", verdict.Why));
            }
        }

        context.Response.Headers.WWWAuthenticate = "Bearer";
        return (null, ApiEndpoints.Problem(401, "Not permitted", $"Send 'Authorization: Bearer <token>'. {Where(right)}"));
    }

    private string Where(ApiRight right) => _access is not null
        ? "Use the token of a user or service account of the cluster ('kubectl create token'), or the one in Secret mesh-admin-token."
        : right switch
        {
            ApiRight.View => "To view take 'view_token' of the control plane's ready line (file view-token of its data folder), or one that may more.",
            ApiRight.Tap => "To tap take the one in file tap-token of the control plane's data folder, or the admin token.",
            _ => "Use the token of the control plane's ready line (file admin-token of its data folder).",
        };

    private static string Lower(ApiRight right) => right.ToString().ToLowerInvariant();
}
