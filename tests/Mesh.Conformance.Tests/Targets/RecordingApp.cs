using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Conformance.Tests.Targets;

/// <summary>One request as the app saw it.</summary>
/// <param name="Complete">Its body was read to a proper end, or as far as the app wanted.</param>
internal sealed record Received(string Method, string Target, string Host, string Body, bool Complete, IReadOnlyDictionary<string, string> Headers)
{
    public override string ToString() => $"{Method} {Target} (Host {Host}, {(Complete ? "body" : "broken body")} '{Body}')";
}

/// <summary>
/// The app behind every target. It writes down all that it receives. <c>/hold</c> takes no body and gives no answer until the caller leaves, <c>/early</c> answers without taking the body,
/// <c>/bytes/N</c> answers N bytes, <c>/field</c> answers the request's <c>x-value</c> in a field of that name; everything else reads its body and answers it.
/// </summary>
internal sealed class RecordingApp
{
    private static readonly byte[] _zeros = new byte[16_384];

    private readonly ConcurrentQueue<Received> _received = [];
    private TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _active;
    private int _mostActive;

    public IReadOnlyCollection<Received> Received => _received;

    /// <summary>Requests in the app now.</summary>
    public int Active => Volatile.Read(ref _active);

    public int MostActive => Volatile.Read(ref _mostActive);

    public void Forget()
    {
        _received.Clear();
        _mostActive = Active;
    }

    /// <summary>Ends what is on hold.</summary>
    public void Release() => Interlocked.Exchange(ref _release, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();

    /// <summary>A host for it: no logs, and the listeners of the caller.</summary>
    public async Task<WebApplication> StartAsync(Action<KestrelServerOptions> listen, Action<WebApplicationBuilder>? more = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = TimeSpan.FromSeconds(2));
        builder.WebHost.UseKestrelCore().ConfigureKestrel(listen);
        more?.Invoke(builder);
        var app = builder.Build();
        app.Run(ServeAsync);
        await app.StartAsync();
        return app;
    }

    public async Task ServeAsync(HttpContext context)
    {
        var active = Interlocked.Increment(ref _active);
        for (var most = _mostActive; most < active && Interlocked.CompareExchange(ref _mostActive, active, most) != most;)
        {
            most = _mostActive;
        }

        try
        {
            await AnswerAsync(context);
        }
        finally
        {
            Interlocked.Decrement(ref _active);
        }
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value ?? "";
        if (path == "/hold")
        {
            Record(context, "", complete: false);
            await _release.Task.WaitAsync(context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return;
        }

        if (path == "/early")
        {
            Record(context, "", complete: true);
            await context.Response.WriteAsync("early");
            return;
        }

        if (path.StartsWith("/bytes/", StringComparison.Ordinal))
        {
            Record(context, "", complete: true);
            for (var left = int.Parse(path["/bytes/".Length..], CultureInfo.InvariantCulture); left > 0; left -= _zeros.Length)
            {
                await context.Response.Body.WriteAsync(_zeros.AsMemory(0, Math.Min(left, _zeros.Length)), context.RequestAborted);
            }

            return;
        }

        using var body = new MemoryStream();
        try
        {
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        }
        catch (Exception)
        {
            Record(context, Encoding.Latin1.GetString(body.ToArray()), complete: false);
            throw;
        }

        Record(context, Encoding.Latin1.GetString(body.ToArray()), complete: true);
        if (path == "/field")
        {
            context.Response.Headers["x-value"] = context.Request.Headers["x-value"];
        }

        if (context.Request.Method != "CONNECT")
        {
            context.Response.ContentLength = body.Length;
        }

        if (context.Request.Method != "HEAD")
        {
            await context.Response.Body.WriteAsync(body.ToArray(), context.RequestAborted);
        }
    }

    private void Record(HttpContext context, string body, bool complete)
    {
        // Fields of one name may have been joined on the way (RFC 9110 §5.3).
        var headers = context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString().Replace(", ", ",", StringComparison.Ordinal), StringComparer.OrdinalIgnoreCase);
        if (context.Features.Get<IHttpRequestTrailersFeature>() is { Available: true } trailers)
        {
            foreach (var (name, value) in trailers.Trailers)
            {
                headers[$"trailer:{name}"] = value.ToString();
            }
        }

        var target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        _received.Enqueue(new Received(context.Request.Method, target, context.Request.Host.Value ?? "", body, complete, headers));
    }
}
