using System.Net;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace Mesh.ControlPlane.Dashboard;

/// <summary>Where an API is and with which token it is asked.</summary>
internal readonly record struct DashboardTarget(Uri Address, string Token);

/// <summary>Passes what a mounted page asks on to the control plane, with the mount's token instead of the visitor's cookies, and only as far as the mount permits.</summary>
internal sealed partial class DashboardForwarder(MeshDashboardOptions options, Func<CancellationToken, Task<DashboardTarget>> target, ILogger<DashboardForwarder> logger) : IDisposable
{
    /// <summary>Answers say what the mount permits. Requests that change something must have it: no form or page of a stranger can set it without being asked first.</summary>
    public const string Header = "X-Mesh-Dashboard";

    private const int BufferBytes = 16 * 1024;

    private readonly HttpMessageInvoker _api = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        UseProxy = false,
        ConnectTimeout = TimeSpan.FromSeconds(5),
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        ActivityHeadersPropagator = null,
    });

    private string Permitted => options.AllowChanges ? "change" : options.AllowTap ? "tap" : "view";

    public async Task ForwardAsync(HttpContext context, string path)
    {
        var cancelled = context.RequestAborted;
        context.Response.Headers[Header] = Permitted;
        if (Refusal(context.Request, path) is { } refusal)
        {
            await refusal.ExecuteAsync(context);
            return;
        }

        try
        {
            var to = await target(cancelled);
            using var request = Request(context.Request, to, path);
            using var answer = await _api.SendAsync(request, cancelled);
            await PassOnAsync(context, answer);
        }
        catch (Exception e) when (e is HttpRequestException or IOException && !cancelled.IsCancellationRequested)
        {
            Log.NotReached(logger, path, e);
            if (context.Response.HasStarted)
            {
                // The page sees the end of its stream and asks again.
                context.Abort();
                return;
            }

            await Problem(StatusCodes.Status502BadGateway, "Not reached", $"The control plane does not answer: {e.Message}").ExecuteAsync(context);
        }
        catch (OperationCanceledException) when (cancelled.IsCancellationRequested)
        {
            // The visitor has left.
        }
    }

    public void Dispose() => _api.Dispose();

    private IResult? Refusal(HttpRequest request, string path)
    {
        var reads = HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method);
        var first = path.AsSpan().TrimStart('/');
        first = first.IndexOf('/') is var slash and >= 0 ? first[..slash] : first;
        if (path.Contains("..", StringComparison.Ordinal))
        {
            return Problem(StatusCodes.Status404NotFound, "Not here", "There is no such path.");
        }

        if (!options.AllowChanges && (!reads || first.Equals("audit", StringComparison.OrdinalIgnoreCase)))
        {
            return Problem(StatusCodes.Status403Forbidden, "Not permitted", "This dashboard only shows. Where it is mounted, MeshDashboardOptions.AllowChanges permits changes.");
        }

        if (!options.AllowTap && !options.AllowChanges && (first.Equals("tap", StringComparison.OrdinalIgnoreCase) || first.Equals("top", StringComparison.OrdinalIgnoreCase)))
        {
            return Problem(StatusCodes.Status403Forbidden, "Not permitted", "This dashboard shows no single requests. Where it is mounted, MeshDashboardOptions.AllowTap permits it.");
        }

        return reads || request.Headers.ContainsKey(Header) ? null
            : Problem(StatusCodes.Status403Forbidden, "Not permitted", $"A change must come from the page itself, with the header {Header}.");
    }

    private static HttpRequestMessage Request(HttpRequest from, DashboardTarget to, string path)
    {
        var request = new HttpRequestMessage(new HttpMethod(from.Method), new Uri(to.Address, $"api/v1/{Encoded(path)}{from.QueryString}"));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", to.Token);
        if (from.Headers.Accept.Count > 0)
        {
            request.Headers.TryAddWithoutValidation(HeaderNames.Accept, from.Headers.Accept.ToString());
        }

        if (from.ContentLength > 0 || from.Headers.TransferEncoding.Count > 0)
        {
            request.Content = new StreamContent(from.Body);
            request.Content.Headers.TryAddWithoutValidation(HeaderNames.ContentType, from.ContentType);
            request.Content.Headers.ContentLength = from.ContentLength;
        }

        return request;
    }

    /// <summary>The route has decoded it.</summary>
    private static string Encoded(string path) => string.Join('/', path.TrimStart('/').Split('/').Select(Uri.EscapeDataString));

    private static async Task PassOnAsync(HttpContext context, HttpResponseMessage answer)
    {
        if (answer.StatusCode == HttpStatusCode.Unauthorized)
        {
            // It is not the visitor's token that is wrong: the page must not ask for one.
            await Problem(StatusCodes.Status502BadGateway, "Not permitted", "The control plane does not accept this dashboard's token. Set MeshDashboardOptions.Token to one that it does.").ExecuteAsync(context);
            return;
        }

        var (response, cancelled) = (context.Response, context.RequestAborted);
        response.StatusCode = (int)answer.StatusCode;
        response.ContentType = answer.Content.Headers.ContentType?.ToString();
        response.ContentLength = answer.Content.Headers.ContentLength;
        response.Headers.CacheControl = "no-store";
        response.Headers.XContentTypeOptions = "nosniff";
        // What is live must not wait for more.
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        response.Headers["X-Accel-Buffering"] = "no";
        await response.StartAsync(cancelled);
        await using var body = await answer.Content.ReadAsStreamAsync(cancelled);
        var buffer = new byte[BufferBytes];
        int read;
        while ((read = await body.ReadAsync(buffer, cancelled)) > 0)
        {
            await response.Body.WriteAsync(buffer.AsMemory(0, read), cancelled);
            await response.Body.FlushAsync(cancelled);
        }
    }

    private static IResult Problem(int status, string title, string detail) => Results.Problem(detail, statusCode: status, title: title);

    private static partial class Log
    {
        [LoggerMessage(5600, LogLevel.Information, "The control plane did not answer the dashboard's request for '{Path}'", EventName = nameof(NotReached))]
        public static partial void NotReached(ILogger logger, string path, Exception exception);
    }
}
