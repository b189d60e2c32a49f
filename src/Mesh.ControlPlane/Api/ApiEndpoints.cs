using System.Reflection;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Xds;
using Microsoft.AspNetCore.Mvc;

namespace Mesh.ControlPlane.Api;

/// <summary>The HTTP API: what runs, what was seen, and the few things an operator does.</summary>
internal static class ApiEndpoints
{
    private static readonly string Version =
        typeof(ApiEndpoints).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    /// <summary>In place of Authorization, which the proxy of a Kubernetes API server keeps for itself.</summary>
    public const string TokenHeader = "X-Mesh-Token";

    public static void MapControlPlaneApi(this IEndpointRouteBuilder root)
    {
        root.MapGet("/livez", () => "ok");
        root.MapGet("/readyz", ReadyCheck.Answer);
        root.MapGet("/metrics", PrometheusText.Write);

        var api = root.MapGroup("/api").AddEndpointFilter(RequireTokenAsync);
        api.MapGet("/v1/pairs", (GoldenStore store, string? window) => Windowed(window, w => store.Pairs(w)));
        api.MapGet("/v1/endpoints", (GoldenStore store, string? window) => Windowed(window, w => store.Endpoints(w)));
        api.MapGet("/v1/status", (ClientRegistry clients, Uptime uptime) => new
        {
            clients = clients.Count,
            acks = clients.Acks,
            nacks = clients.Nacks,
            uptime_s = Math.Round(uptime.Elapsed.TotalSeconds, 3),
            version = Version,
        });
        api.MapGet("/v1/clients", (ClientRegistry clients) => clients.Clients.Select(c => new
        {
            id = c.Node.Id,
            identity = c.Node.Identity?.ToString(),
            c.Address,
            c.ConnectedSince,
            c.Variant,
            c.Acks,
            c.Nacks,
            c.LastNack,
            subscriptions = c.Types.Select(t => new { t.TypeUrl, names = t.Resources.Select(r => r.Name), t.VersionSent, t.VersionAcked, t.Status }),
        }));
        api.MapGet("/v1/workloads", (ModelStore store, MeshControlPlaneOptions options) => Workloads.List(store.Current, options.TrustDomain));
        api.MapGet("/v1/checks", Checks.Run);
        api.MapGet("/v1/routes", (ModelStore store) => store.Current.RouteReports.Select(r => new
        {
            r.Kind,
            r.Name.Namespace,
            r.Name.Name,
            r.Where,
            parents = r.Parents.Select(p => new { p.Namespace, service = p.Name, p.Port, p.SectionName, conditions = p.Conditions.Select(c => new PolicyCondition(c.Type, c.Status ? "True" : "False", c.Reason, c.Message)) }),
        }));
        api.MapGet("/v1/policies", (ModelStore store) => PolicyStatus.List(store.Current));
        api.MapGet("/v1/policies/lint", PolicyLint.Answer);
        api.MapGet("/v1/explain", Explain.Answer);
        api.MapGet("/v1/explain/request", RequestExplain.Answer);
        api.MapGet("/v1/config_dump", (ClientRegistry clients, string? node) => ConfigDump.Write(clients, node));
        api.MapPost("/v1/tokens", CreateToken);
        IdentityApi.Map(api);
    }

    internal static IResult Problem(int status, string title, string detail) => Results.Problem(detail, statusCode: status, title: title);

    private static async ValueTask<object?> RequireTokenAsync(EndpointFilterInvocationContext invocation, EndpointFilterDelegate next)
    {
        const string Scheme = "Bearer ";
        var context = invocation.HttpContext;
        var header = context.Request.Headers.Authorization.ToString();
        var token = header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : context.Request.Headers[TokenHeader].ToString();
        if (token.Length > 0)
        {
            if (context.RequestServices.GetRequiredService<AdminToken>().Matches(token))
            {
                return await next(invocation);
            }

            if (context.RequestServices.GetService<IApiAccess>() is { } access)
            {
                var reads = HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method);
                var (status, why) = await access.JudgeAsync(token, !reads, context.RequestAborted);
                return status == StatusCodes.Status200OK ? await next(invocation) : Problem(status, status == StatusCodes.Status503ServiceUnavailable ? "Not now" : "Not permitted", why);
            }
        }

        context.Response.Headers.WWWAuthenticate = "Bearer";
        return Problem(401, "Not permitted", "Send 'Authorization: Bearer <token>' with the token of the control plane's ready line (file admin-token of its data folder).");
    }

    private static IResult Windowed<T>(string? window, Func<TimeSpan?, T> read)
    {
        if (window is null)
        {
            return Results.Ok(read(null));
        }

        return int.TryParse(window, out var seconds) && seconds is >= 1 and <= 900
            ? Results.Ok(read(TimeSpan.FromSeconds(seconds)))
            : Problem(400, "Bad window", $"window is '{window}'. Give seconds, 1–900, or leave it out for all since start.");
    }

    private static IResult CreateToken(TokenRequest? request, [FromServices] JoinTokens? tokens)
    {
        if (tokens is null)
        {
            return Problem(409, "No join tokens here", "In a cluster workloads join with the token of their service account: project one with audience 'meshlib.io' into the Pod.");
        }

        if (request is not { Namespace.Length: > 0, ServiceAccount.Length: > 0 } || !IsLabel(request.Namespace) || !IsLabel(request.ServiceAccount))
        {
            return Problem(400, "Bad identity", "Give 'namespace' and 'service_account', each 1–253 of a–z, 0–9, '-' and '.' as Kubernetes names them.");
        }

        try
        {
            var token = tokens.Create(request.Namespace, request.ServiceAccount);
            return Results.Ok(new { token.Token, token.ExpiresAt });
        }
        catch (InvalidOperationException e)
        {
            return Problem(429, "Too many tokens", e.Message);
        }
    }

    private static bool IsLabel(string name) =>
        name.Length <= 253 && char.IsAsciiLetterOrDigit(name[0]) && char.IsAsciiLetterOrDigit(name[^1]) && name.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-' or '.');

    private sealed record TokenRequest(string? Namespace, string? ServiceAccount);
}
