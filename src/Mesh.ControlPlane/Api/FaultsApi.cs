using System.Security.Cryptography;
using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Mesh.ControlPlane.Api;

/// <summary>Faults on purpose: those that are injected, and some that end by themselves.</summary>
internal static class FaultsApi
{
    private const int LongestSeconds = 3600;
    private const int MostDelayMs = 300_000;
    private const int Most = 100;

    public static void Map(IEndpointRouteBuilder api)
    {
        api.MapGet("/v1/faults", (FaultList faults) => new FaultsAnswer(faults.Now));
        api.MapPost("/v1/faults", AddAsync);
        api.MapDelete("/v1/faults/{id}", RemoveAsync);
    }

    private static async Task<Results<Ok<FaultItem>, ProblemHttpResult>> AddAsync(
        HttpContext context, FaultRequest? request, ModelStore models, FaultList faults, ITemporaryFaults temporary, TimeProvider time, CancellationToken cancellationToken)
    {
        if (Problem(request) is { } bad)
        {
            return TypedResults.Problem(bad, statusCode: 400, title: "Bad fault");
        }

        var name = new ServiceName(request!.Namespace!, request.Service!);
        if (!models.Current.Services.ContainsKey(name))
        {
            return TypedResults.Problem($"There is no Service {Short(name.ToString())}. GET /api/v1/overview lists those that are.", statusCode: 404, title: "No such service");
        }

        if (faults.Taken(name) is { } taken)
        {
            return TypedResults.Problem($"FaultPolicy {taken} says what faults {name} has, and is older. Remove it first.", statusCode: 409, title: "It has faults already");
        }

        if (temporary.All.Count(f => f.Name != name) >= Most)
        {
            return TypedResults.Problem($"{Most} faults are injected already. End one, or wait.", statusCode: 429, title: "Too many faults");
        }

        var now = time.GetUtcNow();
        var fault = new TemporaryFault(
            Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4)), name.Namespace, name.Name, request.DelayMs, request.DelayPercent, request.AbortStatus, request.GrpcStatus, request.AbortPercent,
            now, now + TimeSpan.FromSeconds(request.Seconds!.Value), ApiCaller.Of(context).Name);
        await temporary.AddAsync(fault, cancellationToken);
        return TypedResults.Ok(new FaultItem(fault.Id, fault.Namespace, fault.Service, $"{fault.Namespace}/{fault.PolicyName}", fault.Text, fault.ExpiresAt, Temporary: true, fault.By));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RemoveAsync(string id, ITemporaryFaults temporary, CancellationToken cancellationToken) =>
        await temporary.RemoveAsync(id, cancellationToken)
            ? TypedResults.NoContent()
            : TypedResults.Problem($"No temporary fault has the id '{Short(id)}': it may have ended. Those of FaultPolicies are ended where these are written.", statusCode: 404, title: "No such fault");

    private static string? Problem(FaultRequest? request)
    {
        if (request is null || !ApiEndpoints.IsLabel(request.Namespace) || !ApiEndpoints.IsLabel(request.Service))
        {
            return "Give 'namespace' and 'service', named as in Kubernetes.";
        }

        if (request.Seconds is not (>= 1 and <= LongestSeconds))
        {
            return $"seconds is '{request.Seconds}'. Give 1–{LongestSeconds}: a fault of this kind ends by itself.";
        }

        if (request.AbortStatus is not null && request.GrpcStatus is not null)
        {
            return "abort_status and grpc_status exclude each other: HTTP callers of a gRPC status see its HTTP form and the reverse.";
        }

        if (request.DelayMs is null && request.AbortStatus is null && request.GrpcStatus is null)
        {
            return "There is no fault in it. Give delay_ms, abort_status or grpc_status.";
        }

        return Range("delay_ms", request.DelayMs, 1, MostDelayMs) ?? Range("delay_percent", request.DelayPercent, 1, 100) ?? Range("abort_status", request.AbortStatus, 200, 599)
            ?? Range("grpc_status", request.GrpcStatus, 1, 16) ?? Range("abort_percent", request.AbortPercent, 1, 100);
    }

    private static string? Range(string field, int? value, int least, int most) => value is { } number && (number < least || number > most) ? $"{field} is {number}. Give {least}–{most}." : null;

    private static string Short(string text) => text.Length <= 100 ? text : text[..100] + "…";

    /// <param name="DelayPercent">Default 100.</param>
    /// <param name="AbortPercent">Default 100.</param>
    internal sealed record FaultRequest(
        string? Namespace, string? Service, int? DelayMs, int? DelayPercent, int? AbortStatus, int? GrpcStatus, int? AbortPercent, int? Seconds);
}

internal sealed record FaultsAnswer(IReadOnlyList<FaultItem> Items);
