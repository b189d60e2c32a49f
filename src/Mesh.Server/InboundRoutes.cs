using Mesh.Telemetry;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;

namespace Mesh.Server;

/// <summary>What a request served was, as one of few names: the app's route template, or the method of a gRPC call that no route of this process took (a sidecar's). Thread-safe.</summary>
/// <remarks>Callers write paths as they like: a name that is no template is learned only from a call that ended with OK, so that nobody fills the graph with what does not exist.</remarks>
internal sealed class InboundRoutes
{
    // As OpenTelemetry's limit for gRPC paths; longer ones are nobody's generated code.
    private const int MaxLength = 200;
    private readonly BoundedNames _names = new(MeshTags.MaxRoutes);

    /// <summary>After it was served. Empty when there is none.</summary>
    public string Of(HttpContext context)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<IRouteDiagnosticsMetadata>()?.Route is { } template)
        {
            return _names.Of(template);
        }

        var path = context.Request.Path.Value;
        return path is null or { Length: > MaxLength } || !IsGrpc(context.Request.ContentType) ? string.Empty
            : InboundOutcome.GrpcStatus(context) == "0" ? _names.Of(path) : _names.Known(path) ?? string.Empty;
    }

    /// <param name="type">Of the request.</param>
    public static bool IsGrpc(string? type) => type is not null && type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase);
}
