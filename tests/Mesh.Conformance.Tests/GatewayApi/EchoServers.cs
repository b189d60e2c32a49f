using System.Collections.Concurrent;
using System.Globalization;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>One request as a Pod saw it.</summary>
internal sealed record Seen(string Pod, string Method, string Target, string Host, string Protocol, IReadOnlyDictionary<string, string> Headers);

/// <summary>
/// The apps of all Pods: real Kestrels, one for each service account. They write down what they receive by the caller's number for it (<see cref="Id"/>) and do what it asks for (<see cref="Ask"/>):
/// <c>hold</c> no answer until the caller leaves, <c>hold-first=N</c> the first N times, <c>fail-first=N:STATUS</c>, <c>reset-first=N</c>, <c>field=NAME:VALUE</c> in the answer.
/// </summary>
internal sealed class EchoServers : IAsyncDisposable
{
    public const string Id = "x-echo-id";
    public const string Ask = "x-echo-ask";
    public const string Pod = "x-echo-pod";
    private readonly ConcurrentDictionary<string, ConcurrentQueue<Seen>> _seen = new(StringComparer.Ordinal);
    private readonly Dictionary<int, EchoPod> _byPort = [];
    private readonly List<WebApplication> _apps = [];

    public IReadOnlyCollection<Seen> SeenOf(string id) => _seen.TryGetValue(id, out var seen) ? seen : [];

    /// <param name="settings">Of the mesh, for a namespace and a service account.</param>
    public async Task StartAsync(IEnumerable<EchoPod> pods, Func<string, string, Dictionary<string, string?>> settings)
    {
        foreach (var process in pods.GroupBy(p => (p.Namespace, p.Account, p.IsMeshed)))
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = TimeSpan.FromSeconds(2));
            builder.WebHost.ConfigureKestrel(kestrel => Listen(kestrel, process));
            if (process.Key.IsMeshed)
            {
                builder.Configuration.AddInMemoryCollection(settings(process.Key.Namespace, process.Key.Account));
                builder.WebHost.UseMesh();
            }

            var app = builder.Build();
            _apps.Add(app);
            app.UseWebSockets();
            app.Run(ServeAsync);
            await app.StartAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var app in _apps)
        {
            await app.DisposeAsync();
        }
    }

    private void Listen(KestrelServerOptions kestrel, IEnumerable<EchoPod> pods)
    {
        foreach (var pod in pods)
        {
            foreach (var (name, port) in pod.Ports)
            {
                _byPort.Add(port, pod);
                kestrel.Listen(pod.Address, port, l => l.Protocols = name == "h2c" ? HttpProtocols.Http2 : HttpProtocols.Http1AndHttp2);
            }
        }
    }

    private async Task ServeAsync(HttpContext context)
    {
        var request = context.Request;
        var pod = _byPort[context.Connection.LocalPort].Name;
        var seen = _seen.GetOrAdd(request.Headers[Id].ToString(), _ => []);
        seen.Enqueue(new Seen(
            pod, request.Method, context.Features.Get<IHttpRequestFeature>()!.RawTarget, request.Host.Value ?? string.Empty, request.Protocol,
            request.Headers.ToDictionary(h => h.Key, h => Fields.Joined(h.Value), StringComparer.OrdinalIgnoreCase)));
        await request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
        context.Response.Headers[Pod] = pod;
        foreach (var ask in request.Headers[Ask].ToString().Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (!await DoAsync(context, ask.Split('='), seen.Count))
            {
                return;
            }
        }

        if (context.WebSockets.IsWebSocketRequest)
        {
            await EchoAsync(context);
        }
        else if (request.ContentType?.StartsWith("application/grpc", StringComparison.Ordinal) == true)
        {
            // A message of no bytes, and a good end.
            context.Response.ContentType = "application/grpc";
            context.Response.AppendTrailer("grpc-status", "0");
            await context.Response.Body.WriteAsync(new byte[5], context.RequestAborted);
        }
        else
        {
            await context.Response.WriteAsync(pod, context.RequestAborted);
        }
    }

    /// <returns>False: the answer is given.</returns>
    private static async Task<bool> DoAsync(HttpContext context, string[] ask, int times)
    {
        switch (ask)
        {
            case ["hold"]:
            case ["hold-first", var held] when times <= Number(held):
                await new TaskCompletionSource().Task.WaitAsync(context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                return false;
            case ["fail-first", var failing] when failing.Split(':') is [var first, var status] && times <= Number(first):
                context.Response.StatusCode = Number(status);
                return false;
            case ["reset-first", var reset] when times <= Number(reset):
                context.Abort();
                return false;
            case ["field", var field]:
                context.Response.Headers.Append(field[..field.IndexOf(':', StringComparison.Ordinal)], field[(field.IndexOf(':', StringComparison.Ordinal) + 1)..]);
                return true;
            default:
                return true;
        }
    }

    private static async Task EchoAsync(HttpContext context)
    {
        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        var buffer = new byte[256];
        var received = await socket.ReceiveAsync(buffer, context.RequestAborted);
        await socket.SendAsync(buffer.AsMemory(0, received.Count), WebSocketMessageType.Text, endOfMessage: true, context.RequestAborted);
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, context.RequestAborted);
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}

/// <summary>Field values as one, whether they came in one line or in several (RFC 9110 §5.3).</summary>
internal static class Fields
{
    public static string Joined(IEnumerable<string?> values) => string.Join(',', string.Join(',', values).Split(',').Select(v => v.Trim()));
}
