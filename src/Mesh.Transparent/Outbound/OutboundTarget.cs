using Mesh.Outbound;
using Mesh.Traffic;
using Mesh.Transparent.Forwarding;
using Microsoft.AspNetCore.Http;

namespace Mesh.Transparent.Outbound;

/// <summary>The app's requests: through the core's pipeline, by the address that was dialled.</summary>
internal sealed class OutboundTarget(OutboundPipeline pipeline) : IForwardTarget
{
    public string? Authority(HttpContext context) => null;

    public ValueTask<HttpResponseMessage> SendAsync(HttpContext context, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var connection = context.Features.Get<OutboundConnection>()!;
        if (ForwardedRequest.IsAbsoluteForm(context) && request.Version.Major == 1)
        {
            request.Headers.TryAddWithoutValidation(MeshHeaders.OriginalProtocol, request.Version.Minor == 0 ? "HTTP/1.0; absolute-form" : "HTTP/1.1; absolute-form");
        }

        return connection.TakeWhyNot() is { } why
            ? new(OutboundErrors.Respond(request, new HttpRequestMessageHead(request).IsGrpc, MeshErrorCode.NoConfiguration, why))
            : pipeline.SendAsync(request, connection.Key, connection.Egress, cancellationToken);
    }
}
