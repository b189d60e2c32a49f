using System.Globalization;
using Mesh.ControlPlane.Sources.Kubernetes;
using Microsoft.AspNetCore.Http.Features;

namespace Mesh.ControlPlane.Injector;

/// <summary>The webhooks of the API server: <c>POST /inject</c> and <c>POST /validate</c>.</summary>
internal static partial class AdmissionEndpoints
{
    /// <summary>More than two objects of the largest kind that the API server stores.</summary>
    private const long MostBytes = 8 << 20;

    /// <summary>As long as the API server waits when it does not say it.</summary>
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromSeconds(10);

    public static void MapAdmission(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/inject", InjectAsync);
        routes.MapPost("/validate", ValidateAsync);
    }

    private static Task InjectAsync(HttpContext context) => HandleAsync(context, context.RequestServices.GetRequiredService<PodAdmission>().AnswerAsync);

    private static Task ValidateAsync(HttpContext context) => HandleAsync(context, static (request, _) => Task.FromResult(ObjectAdmission.Answer(request)));

    private static async Task HandleAsync(HttpContext context, Func<AdmissionRequest, CancellationToken, Task<AdmissionAnswer>> answer)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        limit.CancelAfter(TimeLeft(context.Request));
        try
        {
            if (!context.Request.HasJsonContentType())
            {
                await FailAsync(context, StatusCodes.Status415UnsupportedMediaType, "Send 'Content-Type: application/json'.");
                return;
            }

            var request = AdmissionRequest.Read(JsonRead.Parse(await BodyAsync(context, limit.Token)), out var problem);
            if (request is null)
            {
                await FailAsync(context, StatusCodes.Status400BadRequest, problem);
                return;
            }

            var review = (await answer(request, limit.Token)).Review(request.Uid);
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(review.ToJsonString(), limit.Token);
        }
        catch (BadHttpRequestException e)
        {
            await FailAsync(context, e.StatusCode, e.Message);
        }
        catch (KubeApiException e)
        {
            // Then the configuration's failurePolicy decides.
            Log.NotAnswered(Logger(context), context.Request.Path, e.Message);
            await FailAsync(context, StatusCodes.Status500InternalServerError, e.Message);
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            Log.NotAnswered(Logger(context), context.Request.Path, "it took too long");
            await FailAsync(context, StatusCodes.Status504GatewayTimeout, "It took too long.");
        }
    }

    /// <summary>A little less than the API server will wait: then it still reads why.</summary>
    private static TimeSpan TimeLeft(HttpRequest request)
    {
        var text = request.Query["timeout"].ToString();
        var time = text.EndsWith('s') && double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds is > 0 and < 30
            ? TimeSpan.FromSeconds(seconds)
            : LongestAnswer;
        return time * 0.9;
    }

    private static async Task<byte[]> BodyAsync(HttpContext context, CancellationToken cancellationToken)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = MostBytes;
        }

        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, cancellationToken);
        return body.ToArray();
    }

    private static Task FailAsync(HttpContext context, int status, string why)
    {
        if (context.Response.HasStarted)
        {
            return Task.CompletedTask;
        }

        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(why + "\n", context.RequestAborted);
    }

    private static ILogger Logger(HttpContext context) => context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(AdmissionEndpoints));

    private static partial class Log
    {
        [LoggerMessage(5320, LogLevel.Warning, "The API server got no answer to {Path}: {Problem}", EventName = nameof(NotAnswered))]
        public static partial void NotAnswered(ILogger logger, string path, string problem);
    }
}
