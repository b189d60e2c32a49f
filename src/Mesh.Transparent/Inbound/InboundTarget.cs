using System.Diagnostics;
using System.Net;
using Mesh.Outbound;
using Mesh.Server;
using Mesh.Traffic;
using Mesh.Transparent.Forwarding;
using Microsoft.AspNetCore.Http;

namespace Mesh.Transparent.Inbound;

/// <summary>Requests for the app: to the address that was called, in the version of HTTP that they were written in.</summary>
internal sealed class InboundTarget : IForwardTarget, IDisposable
{
    private readonly HttpMessageInvoker _app = new(AppHttp.Create(), disposeHandler: true);
    private readonly HttpMessageInvoker _proxy = new(AppHttp.CreateForAbsoluteForm(), disposeHandler: true);

    /// <summary>The address that was called. In absolute-form the URI is the target itself.</summary>
    public string? Authority(HttpContext context) => ForwardedRequest.IsAbsoluteForm(context) ? null : context.Features.Get<MeshConnectionFeature>()?.Endpoint;

    public async ValueTask<HttpResponseMessage> SendAsync(HttpContext context, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var original = default(OriginalVersion);
        if (context.Features.Get<MeshPeerFeature>() is { } peer)
        {
            request.Headers.TryAddWithoutValidation(MeshHeaders.ClientId, peer.Id.ToString());
            if (context.Request.Headers[MeshHeaders.OriginalProtocol] is [{ } text])
            {
                original = OriginalVersion.Parse(text);
            }
        }

        if (Activity.Current is { OperationName: ServerSpans.OwnSpan } span)
        {
            // The app's spans are below ours, in the form in which its caller wrote.
            ServerSpans.TryRead(context.Request.Headers, out var came);
            TraceHeaders.RemoveContext(request.Headers);
            new TraceHeaders(came.Format).Inject(span, request.Headers);
        }

        if (original.Version is { } version)
        {
            (request.Version, request.VersionPolicy) = (version, HttpVersionPolicy.RequestVersionExact);
        }

        if (original.IsAbsoluteForm || ForwardedRequest.IsAbsoluteForm(context))
        {
            AppHttp.AddressAsProxy(request, new IPEndPoint(context.Connection.LocalIpAddress!, context.Connection.LocalPort), context.Request.Host.Value);
            return await _proxy.SendAsync(request, cancellationToken).ConfigureAwait(false);
        }

        return await _app.SendAsync(request, cancellationToken).ConfigureAwait(false);
    }

    public void Dispose()
    {
        _app.Dispose();
        _proxy.Dispose();
    }
}
