using Microsoft.AspNetCore.Http;

namespace Mesh.Server;

/// <summary>Sends the load report with the answers (ORCA, gRFC A51).</summary>
/// <remarks>A mesh client of ours asks for it when it balances by it; gRPC's own clients can't ask, so those of the mesh always get it. Nobody else does, unless the options say so.</remarks>
internal sealed class LoadResponses(MeshLoadReporter reporter, MeshGate gate)
{
    private const string AskHeader = "endpoint-load-metrics-format";
    private const string BinaryHeader = "endpoint-load-metrics-bin";
    private const string TextHeader = "endpoint-load-metrics";

    /// <summary>Before the app: a report among the headers must be there before they are sent.</summary>
    /// <returns>True when the answer is to end with a report: a gRPC call of somebody who may have one.</returns>
    public bool Begin(HttpContext context, MeshConnectionFeature connection)
    {
        var isGrpc = context.Request.ContentType is { } type && type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase);
        var asked = context.Request.Headers.TryGetValue(AskHeader, out var form);
        if (!(gate.ReportsLoadToAll || (connection.Peer is not null && (asked || (isGrpc && !connection.IsMarked)))))
        {
            return false;
        }

        if (isGrpc)
        {
            return true;
        }

        if (form.Count == 1 && string.Equals(form[0], "bin", StringComparison.OrdinalIgnoreCase))
        {
            context.Response.Headers[BinaryHeader] = reporter.Current().Base64;
        }
        else
        {
            context.Response.Headers[TextHeader] = reporter.Current().Text;
        }

        return false;
    }

    /// <summary>After the app.</summary>
    /// <param name="report">What <see cref="Begin"/> said.</param>
    public void End(HttpContext context, bool report, bool success)
    {
        reporter.Count(success);
        if (!report)
        {
            return;
        }

        if (!context.Response.HasStarted)
        {
            // Nothing but headers, which then are the trailers (gRPC over HTTP/2, "Trailers-Only").
            context.Response.Headers[BinaryHeader] = reporter.Current().Base64;
        }
        else if (context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpResponseTrailersFeature>() is { Trailers: { IsReadOnly: false } trailers })
        {
            trailers[BinaryHeader] = reporter.Current().Base64;
        }
    }
}
