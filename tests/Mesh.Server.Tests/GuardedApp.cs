using System.Net.Sockets;
using System.Security.Claims;
using System.Text;
using System.Text.Json;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace Mesh.Server.Tests;

/// <summary>An app with filters of the inbound side that says what reached it: which endpoint, and what of the request.</summary>
internal sealed class GuardedApp : IAsyncDisposable
{
    private static readonly SpiffeId _cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private readonly TestCa _ca;
    private readonly FakeLogCollector _logs;

    private GuardedApp(TestCa ca, MeshApp app, FakeLogCollector logs) => (_ca, App, _logs) = (ca, app, logs);

    public MeshApp App { get; }

    public string Address => $"127.0.0.1:{App.Port}";

    public Uri Url => new($"http://{Address}/");

    public IReadOnlyList<FakeLogRecord> Logs => _logs.GetSnapshot();

    public static async Task<GuardedApp> StartAsync(TestCa ca, HttpFilterSettings? filter, Action<MeshOptions>? options = null, HttpProtocols protocols = HttpProtocols.Http1, Action<IServiceCollection>? services = null)
    {
        var logs = new FakeLogCollector();
        var app = await MeshApp.StartAsync(
            ca,
            web: web => web.ConfigureKestrel(k => k.Listen(System.Net.IPAddress.Loopback, 0, l => l.Protocols = protocols)),
            routes: routes =>
            {
                routes.MapGet("/admin", (HttpContext c) => Seen.Of("admin", c));
                routes.MapGet("/a/b", (HttpContext c) => Seen.Of("a/b", c));
                routes.MapMethods("/admin", ["DELETE"], (HttpContext c) => Seen.Of("delete", c));
                routes.MapFallback("{**rest}", (HttpContext c) => Seen.Of("fallback", c));
            },
            services: collection =>
            {
                collection.AddSingleton<ILoggerProvider>(new FakeLoggerProvider(logs));
                collection.Configure<MeshOptions>(o => options?.Invoke(o));
                services?.Invoke(collection);
            });
        var guarded = new GuardedApp(ca, app, logs);
        guarded.Publish(filter);
        return guarded;
    }

    public void Publish(HttpFilterSettings? filter)
    {
        var snapshot = MeshApp.Inbound(Address);
        var name = snapshot.Listeners.Keys.Single();
        var listener = ((ListenerResult.Found)snapshot.Listeners[name]).Listener;
        var http = filter is null ? null : new HttpConnectionManager(null, null, null) { Filters = [new HttpFilter("guard", filter)] };
        App.Config.Set(snapshot with
        {
            Listeners = snapshot.Listeners.SetItem(name, new ListenerResult.Found(listener with { FilterChains = [.. listener.FilterChains.Select(c => c with { Http = http })] }, null)),
        });
    }

    /// <param name="version">Over mesh TLS; null is plaintext HTTP/1.1.</param>
    public HttpClient Client(string? version = null) => version is null
        ? new HttpClient { Timeout = TimeSpan.FromSeconds(15) }
        : MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, Version.Parse(version));

    /// <summary>A request by hand over plaintext HTTP/1.1: status, and what the app saw.</summary>
    public async Task<(int Status, Seen? Seen, string Head)> RawAsync(string request, CancellationToken cancellationToken)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync("127.0.0.1", App.Port, cancellationToken);
        var stream = socket.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request), cancellationToken);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var text = await reader.ReadToEndAsync(cancellationToken);
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var body = end < 0 ? string.Empty : text[end..];
        var (from, to) = (body.IndexOf('{', StringComparison.Ordinal), body.LastIndexOf('}'));
        return (int.Parse(text.AsSpan(9, 3), System.Globalization.CultureInfo.InvariantCulture), from < 0 ? null : Seen.Parse(body[from..(to + 1)]), end < 0 ? text : text[..end]);
    }

    public Task<(int Status, Seen? Seen, string Head)> GetAsync(string target, CancellationToken cancellationToken, string host = "cart", string more = "", string method = "GET") =>
        RawAsync($"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n", cancellationToken);

    public ValueTask DisposeAsync() => App.DisposeAsync();

    internal sealed record Seen(string Endpoint, string Method, string Path, string Query, string Host, Dictionary<string, string> Headers, Dictionary<string, string> Claims, bool IsUser, string? Name)
    {
        public static string Of(string endpoint, HttpContext context)
        {
            var request = context.Request;
            var claims = new Dictionary<string, string>();
            foreach (var claim in context.User.Claims)
            {
                claims[claim.Type] = claims.TryGetValue(claim.Type, out var one) ? $"{one},{claim.Value}" : claim.Value;
            }

            return JsonSerializer.Serialize(new Seen(
                endpoint, request.Method, request.Path.Value!, request.QueryString.Value!, request.Host.ToUriComponent(),
                request.Headers.ToDictionary(h => h.Key.ToLowerInvariant(), h => h.Value.ToString()), claims,
                context.User.Identity?.IsAuthenticated ?? false, (context.User.Identity as ClaimsIdentity)?.Name));
        }

        public static Seen Parse(string json) => JsonSerializer.Deserialize<Seen>(json)!;
    }
}
