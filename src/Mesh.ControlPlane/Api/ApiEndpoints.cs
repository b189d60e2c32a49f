using System.Text.Json.Nodes;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Xds;
using Microsoft.AspNetCore.Mvc;

namespace Mesh.ControlPlane.Api;

/// <summary>The HTTP API: what runs, what was seen, and the few things an operator does.</summary>
internal static class ApiEndpoints
{
    /// <inheritdoc cref="ApiGate.TokenHeader"/>
    public const string TokenHeader = ApiGate.TokenHeader;

    public static void MapControlPlaneApi(this IEndpointRouteBuilder root)
    {
        root.MapGet("/livez", () => "ok");
        root.MapGet("/readyz", ReadyCheck.Answer);
        root.MapGet("/metrics", PrometheusText.Write);

        var api = root.MapGroup(ApiGate.Root);
        api.MapGet("/v1/status", (ClientRegistry clients, Uptime uptime) => new
        {
            clients = clients.Count,
            acks = clients.Acks,
            nacks = clients.Nacks,
            uptime_s = Math.Round(uptime.Elapsed.TotalSeconds, 3),
            version = BuildVersion.Text,
        });
        api.MapGet("/v1/clients", ClientList.AnswerAsync);
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
        api.MapGet("/v1/explain", Explain.Answer).Produces<Explanation>();
        api.MapGet("/v1/explain/request", RequestExplain.Answer).Produces<ExplainedRequest>();
        api.MapGet("/v1/config_dump", (ClientRegistry clients, string? node) => ConfigDump.Write(clients, node)).Produces<IReadOnlyList<JsonObject>>();
        api.MapPost("/v1/tokens", CreateToken).Produces<TokenAnswer>();
        IdentityApi.Map(api);
        TraceApi.Map(api);
        InsightApi.Map(api);
        FaultsApi.Map(api);
        AuditApi.Map(api);
        InfoApi.Map(api);
        GoldenApi.Map(api);
        TapApi.Map(api);
        OpenApiDocument.Map(api);
    }

    internal static IResult Problem(int status, string title, string detail) => Results.Problem(detail, statusCode: status, title: title);

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
            return Results.Ok(new TokenAnswer(token.Token, token.ExpiresAt));
        }
        catch (InvalidOperationException e)
        {
            return Problem(429, "Too many tokens", e.Message);
        }
    }

    /// <summary>A name as Kubernetes has them.</summary>
    internal static bool IsLabel(string? name) =>
        name is { Length: > 0 and <= 253 } && char.IsAsciiLetterOrDigit(name[0]) && char.IsAsciiLetterOrDigit(name[^1]) && name.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '-' or '.');

    internal sealed record TokenRequest(string? Namespace, string? ServiceAccount);

    internal sealed record TokenAnswer(string Token, DateTimeOffset ExpiresAt);
}
