namespace Mesh.ControlPlane.Api;

/// <summary>What holds for whatever the HTTP port answers: under which names, and what browsers may do with it.</summary>
internal sealed class HttpPortRules(HostNames hosts, ApiGate gate)
{
    /// <summary>No script, style or frame but the page's own files; nothing is sent elsewhere.</summary>
    public const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    public async Task HandleAsync(HttpContext context, RequestDelegate next)
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        if (context.Request.Path.StartsWithSegments(ApiGate.Root))
        {
            headers.CacheControl = "no-store";
        }

        if (!hosts.IsOwn(context.Request.Host.Host) && !await CameByProxyAsync(context))
        {
            await ApiEndpoints.Problem(
                StatusCodes.Status421MisdirectedRequest, "Not here", $"This is not '{Shown(context.Request.Host.Host)}'. Ask by an address or by localhost, or start the control plane with --http-host and that name.").ExecuteAsync(context);
            return;
        }

        await next(context);
    }

    /// <summary>The proxy of a Kubernetes API server leaves the name by which it was asked itself. It is told by the token in our own header, which no stranger's page has; and probes tell nothing.</summary>
    private async ValueTask<bool> CameByProxyAsync(HttpContext context) =>
        context.Request.Path.Value is "/livez" or "/readyz" || (context.Request.Headers.ContainsKey(ApiGate.TokenHeader) && await gate.MayViewAsync(context));

    private static string Shown(string host) => host.Length <= 100 ? host : host[..100] + "…";
}
