using System.Buffers;
using System.Net;
using Mesh.Outbound;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Mesh.Transparent.Forwarding;

/// <summary>Where a request that is given on goes.</summary>
internal interface IForwardTarget
{
    /// <summary>The authority of the request's URI, where it is not the request's host: the host then goes on in its header.</summary>
    string? Authority(HttpContext context);

    /// <param name="request">Built from <paramref name="context"/>.</param>
    ValueTask<HttpResponseMessage> SendAsync(HttpContext context, HttpRequestMessage request, CancellationToken cancellationToken);
}

/// <summary>Gives a request on and its answer back, as they are: streams both ways at the pace of the slower side, keeps nothing. Thread-safe.</summary>
internal sealed partial class HttpForwarder(IForwardTarget target, TimeProvider time, ILogger logger)
{
    private const int BufferBytes = 16 * 1024;

    /// <summary>A block of Kestrel's memory pool.</summary>
    private const int BlockBytes = 4096;

    public async Task ForwardAsync(HttpContext context)
    {
        var upgrade = context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true } upgradable ? upgradable : null;
        var body = upgrade is null ? BodyOf(context) : null;
        if (ForwardedRequest.From(context, target.Authority(context), body, upgrade is not null) is not { } request)
        {
            context.Response.StatusCode = StatusCodes.Status501NotImplemented;
            context.Response.Headers[OutboundErrors.Header] = "Target";
            if (!HttpProtocol.IsHttp2(context.Request.Protocol))
            {
                // What is not one request beyond doubt is no ground to read the next one on.
                context.Response.Headers.Connection = "close";
            }

            return;
        }

        var aborted = context.RequestAborted;
        var counted = context.Features.Get<ForwardedBytes>();
        try
        {
            var sent = counted is null ? 0 : time.GetTimestamp();
            using var response = await target.SendAsync(context, request, aborted).ConfigureAwait(false);
            if (counted is not null)
            {
                counted.InApp = time.GetElapsedTime(sent);
            }

            ForwardedResponse.Apply(context, response, keepsUpgrade: upgrade is not null && response.StatusCode == HttpStatusCode.SwitchingProtocols);
            if (upgrade is not null && response.StatusCode == HttpStatusCode.SwitchingProtocols)
            {
                await UpgradeAsync(context, upgrade, response).ConfigureAwait(false);
                return;
            }

            await CopyBodyAsync(context, response, counted, aborted).ConfigureAwait(false);
            ForwardedResponse.ApplyTrailers(context, response);
        }
        catch (Exception e)
        {
            await FailedAsync(context, e, body is { CallerFailed: true }).ConfigureAwait(false);
        }
        finally
        {
            if (body is not null)
            {
                await body.StopAsync().ConfigureAwait(false);
                if (counted is not null)
                {
                    counted.Request = body.Sent;
                }

                body.Dispose();
            }

            request.Dispose();
        }
    }

    private static RequestBody? BodyOf(HttpContext context)
    {
        var length = context.Request.ContentLength;
        return length is not null || context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true } ? new RequestBody(context, length) : null;
    }

    private static async Task CopyBodyAsync(HttpContext context, HttpResponseMessage response, ForwardedBytes? counted, CancellationToken cancellationToken)
    {
#pragma warning disable VSTHRD103, CA1849 // hands its stream out without waiting
        using var stream = response.Content.ReadAsStream(cancellationToken);
#pragma warning restore VSTHRD103, CA1849
        if (HttpMethods.IsHead(context.Request.Method) || context.Response.StatusCode is StatusCodes.Status204NoContent or StatusCodes.Status304NotModified)
        {
            return;
        }

        var writer = context.Response.BodyWriter;
        var first = stream.ReadAsync(Memory<byte>.Empty, cancellationToken);
        if (!first.IsCompleted)
        {
            // The server thinks about its body: its headers must not wait for it.
            await context.Response.StartAsync(cancellationToken).ConfigureAwait(false);
            await writer.FlushAsync(cancellationToken).ConfigureAwait(false);
        }

        await first.ConfigureAwait(false);
        // A block does for most answers; larger pieces only where there is more.
        var size = BlockBytes;
        while (true)
        {
            var memory = writer.GetMemory(size);
            var read = await stream.ReadAsync(memory, cancellationToken).ConfigureAwait(false);
            size = read == memory.Length ? BufferBytes : size;
            if (read == 0)
            {
                return;
            }

            writer.Advance(read);
            if (counted is not null)
            {
                counted.Response += read;
            }

            if ((await writer.FlushAsync(cancellationToken).ConfigureAwait(false)).IsCompleted)
            {
                return;
            }
        }
    }

    /// <summary>Both sides have agreed to speak another protocol: from here on bytes are carried (RFC 9110 §7.8).</summary>
    private static async Task UpgradeAsync(HttpContext context, IHttpUpgradeFeature upgrade, HttpResponseMessage response)
    {
        var server = await response.Content.ReadAsStreamAsync(context.RequestAborted).ConfigureAwait(false);
        var client = await upgrade.UpgradeAsync().ConfigureAwait(false);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        var up = CopyAsync(client, server, either.Token);
        var down = CopyAsync(server, client, either.Token);
        // One side that ends ends the other: neither HTTP library can end one way of an upgraded connection alone.
        await Task.WhenAny(up, down).ConfigureAwait(false);
        await either.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(up, down).ConfigureAwait(false);
    }

    /// <summary>Never throws: the end of either side is the end.</summary>
    private static async Task CopyAsync(Stream from, Stream to, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            while (await from.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var read)
            {
                await to.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
                await to.FlushAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The other direction learns of it by its end.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task FailedAsync(HttpContext context, Exception e, bool clientFailed)
    {
        if (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }

        Log.RequestFailed(logger, context.Request.Method, context.Request.Host.Value ?? string.Empty, $"{context.Connection.LocalIpAddress}:{context.Connection.LocalPort}", e.InnerException?.Message ?? e.Message);
        if (context.Response.HasStarted)
        {
            // Half an answer must not look whole.
            context.Abort();
            return;
        }

        try
        {
            await ProxyErrors.AnswerAsync(context, clientFailed ? ProxyError.BadRequestBody : ProxyErrors.Of(e)).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // The caller has gone meanwhile.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(6500, LogLevel.Debug, "{Method} for '{Host}' at {Address} failed: {Reason}", EventName = nameof(RequestFailed))]
        public static partial void RequestFailed(ILogger logger, string method, string host, string address, string reason);
    }
}
