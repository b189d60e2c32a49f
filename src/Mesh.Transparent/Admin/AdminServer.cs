using System.Net;
using System.Text;
using Mesh.Server;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Transparent.Admin;

/// <summary>The admin port: probes and metrics for everybody who reaches it, all else for this machine's own people.</summary>
/// <remarks>Who is of this machine is judged by the connection's address, never by a header; whatever a browser was lured into sending is refused.</remarks>
internal sealed partial class AdminServer : IHttpApplication<HttpContext>, IAsyncDisposable
{
    private const int MaxBodyBytes = 16 * 1024;
    private readonly AdminMetrics _metrics;
    private readonly ConfigDump _dump;
    private readonly LogLevels _levels;
    private readonly ISidecarState _state;
    private readonly ILogger<AdminServer> _logger;
    private readonly KestrelServer _server;
    private readonly List<ListenOptions> _listening = [];

    public AdminServer(SidecarOptions options, ISidecarState state, AdminMetrics metrics, ConfigDump dump, LogLevels levels, ILoggerFactory loggers)
    {
        (_state, _metrics, _dump, _levels, _logger) = (state, metrics, dump, levels, loggers.CreateLogger<AdminServer>());
        var kestrel = new KestrelServerOptions { AddServerHeader = false };
        kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
        // Enough for probes and scrapes, so that nobody outside keeps them out for long.
        kestrel.Limits.MaxConcurrentConnections = 256;
        kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(75);
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(5);
        foreach (var endPoint in options.AdminListen)
        {
            kestrel.Listen(endPoint, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                _listening.Add(listen);
            });
        }

        _server = new KestrelServer(Options.Create(kestrel), new SocketTransportFactory(Options.Create(new SocketTransportOptions()), loggers), loggers);
    }

    /// <summary>As bound, once started.</summary>
    public IReadOnlyList<IPEndPoint> EndPoints => [.. _listening.Select(l => l.IPEndPoint!)];

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _server.StartAsync(this, cancellationToken).ConfigureAwait(false);
        var addresses = string.Join(", ", EndPoints);
        Log.AdminListens(_logger, addresses);
    }

    /// <summary>Requests in flight end first, until the token is cancelled.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => _server.StopAsync(cancellationToken);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync().ConfigureAwait(false);
        await _server.StopAsync(now.Token).ConfigureAwait(false);
        _server.Dispose();
    }

    HttpContext IHttpApplication<HttpContext>.CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

    void IHttpApplication<HttpContext>.DisposeContext(HttpContext context, Exception? exception)
    {
    }

    async Task IHttpApplication<HttpContext>.ProcessRequestAsync(HttpContext context)
    {
        try
        {
            await AnswerAsync(context).ConfigureAwait(false);
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            context.Response.Headers.Connection = "close";
            context.Response.StatusCode = e.StatusCode;
        }
        catch (Exception e) when (e is not (OperationCanceledException or IOException))
        {
            Log.RequestFailed(_logger, context.Request.Path.Value ?? string.Empty, e);
            if (context.Response.HasStarted)
            {
                context.Abort();
                return;
            }

            context.Response.Clear();
            context.Response.StatusCode = StatusCodes.Status500InternalServerError;
        }
    }

    private Task AnswerAsync(HttpContext context)
    {
        var isPrivate = context.Request.Path.Value is "/config_dump" or "/log-level" or "/drain";
        if (isPrivate && WhyRefused(context) is { } reason)
        {
            return TextAsync(context, StatusCodes.Status403Forbidden, reason);
        }

        if (context.Request.ContentLength > MaxBodyBytes)
        {
            context.Response.Headers.Connection = "close";
            return TextAsync(context, StatusCodes.Status413PayloadTooLarge, "the body is too large\n");
        }

        return (context.Request.Path.Value, context.Request.Method) switch
        {
            ("/live", "GET" or "HEAD") => TextAsync(context, StatusCodes.Status200OK, "live\n"),
            ("/ready", "GET" or "HEAD") => ReadyAsync(context),
            ("/metrics", "GET" or "HEAD") => MetricsResponse.WriteAsync(context, _metrics.Parts),
            ("/config_dump", "GET" or "HEAD") => DumpAsync(context),
            ("/log-level", "GET" or "HEAD") => TextAsync(context, StatusCodes.Status200OK, $"{_levels.Current}\n"),
            ("/log-level", "PUT") => SetLevelAsync(context),
            ("/drain", "POST") => DrainAsync(context),
            ("/live" or "/ready" or "/metrics" or "/config_dump", _) => NotAllowedAsync(context, "GET, HEAD"),
            ("/log-level", _) => NotAllowedAsync(context, "GET, HEAD, PUT"),
            ("/drain", _) => NotAllowedAsync(context, "POST"),
            _ => TextAsync(context, StatusCodes.Status404NotFound, "there are /live, /ready and /metrics; for this machine's own /config_dump, /log-level and /drain\n"),
        };
    }

    /// <summary>Null: it is somebody of this machine, and no page in their browser.</summary>
    private static string? WhyRefused(HttpContext context)
    {
        var address = context.Connection.RemoteIpAddress;
        if (address is null || !IPAddress.IsLoopback(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address))
        {
            return "this is answered to loopback alone\n";
        }

        // A name may have been made to mean 127.0.0.1 (DNS rebinding); a page of another site sends its origin with all that changes anything.
        var host = context.Request.Host.Host;
        if (!IPAddress.TryParse(host.StartsWith('[') ? host.Trim('[', ']') : host, out _) && !host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
        {
            return "the Host header must be an address or localhost\n";
        }

        return context.Request.Headers.Origin.Count > 0 ? "requests of web pages are not answered\n" : null;
    }

    private Task ReadyAsync(HttpContext context)
    {
        var missing = _state.NotReadyBecause();
        return missing.Count == 0
            ? TextAsync(context, StatusCodes.Status200OK, "ready\n")
            : TextAsync(context, StatusCodes.Status503ServiceUnavailable, $"not ready:\n- {string.Join("\n- ", missing)}\n");
    }

    private Task DumpAsync(HttpContext context)
    {
        // At once, so that an error is an answer of its own and not half a document.
        var json = new MemoryStream();
        _dump.WriteTo(json);
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "no-store";
        context.Response.ContentLength = json.Length;
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.Body.WriteAsync(json.GetBuffer(), 0, (int)json.Length, context.RequestAborted);
    }

    private async Task SetLevelAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var text = await reader.ReadToEndAsync(context.RequestAborted).ConfigureAwait(false);
        if (!LogFilters.TryParse(text, out var filters, out var problem))
        {
            await TextAsync(context, StatusCodes.Status400BadRequest, problem + "\n").ConfigureAwait(false);
            return;
        }

        _levels.Set(filters);
        var now = filters.ToString();
        Log.LogLevelChanged(_logger, now);
        await TextAsync(context, StatusCodes.Status200OK, now + "\n").ConfigureAwait(false);
    }

    private Task DrainAsync(HttpContext context)
    {
        Log.DrainAsked(_logger);
        _state.BeginDrain();
        return TextAsync(context, StatusCodes.Status202Accepted, "draining\n");
    }

    private static Task NotAllowedAsync(HttpContext context, string allowed)
    {
        context.Response.Headers.Allow = allowed;
        return TextAsync(context, StatusCodes.Status405MethodNotAllowed, $"use {allowed}\n");
    }

    private static Task TextAsync(HttpContext context, int status, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        context.Response.ContentLength = bytes.Length;
        return HttpMethods.IsHead(context.Request.Method) ? Task.CompletedTask : context.Response.Body.WriteAsync(bytes, 0, bytes.Length, context.RequestAborted);
    }
}
