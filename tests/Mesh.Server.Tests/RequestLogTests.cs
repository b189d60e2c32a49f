using System.Text;
using System.Text.Json;
using Mesh.Hosting;
using Mesh.Server.Logging;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>What is written about single requests, and that it names their trace.</summary>
[Collection(nameof(OpenTelemetryTests))]
public sealed class RequestLogTests : IDisposable
{
    private const string TraceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    private const string TraceParent = $"00-{TraceId}-00f067aa0ba902b7-01";
    private readonly TestCa _ca = new("cluster.local");
    private readonly SpiffeId _cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _ca.Dispose();

    [Theory]
    [InlineData("2.0", true)]
    [InlineData("1.1", true)]
    [InlineData("1.1", false)]
    public async Task AccessLog_IsTheSidecarsInProcess(string version, bool meshed)
    {
        using var written = new MemoryStream();
        var app = await MeshApp.StartAsync(
            _ca,
            routes: app => app.MapPost("/echo", async (HttpContext context) =>
            {
                using var reader = new StreamReader(context.Request.Body);
                await context.Response.WriteAsync($"got {await reader.ReadToEndAsync()}");
            }),
            services: services => services.AddSingleton(provider => new AccessLog(MeshAccessLog.Json, provider.GetRequiredService<TimeProvider>(), written)));
        await using (app)
        {
            using var client = meshed ? MeshApp.MeshClient(_ca.Identity("shop", "web"), _cart, Version.Parse(version)) : new HttpClient();
            using var request = new HttpRequestMessage(HttpMethod.Post, $"http://127.0.0.1:{app.Port}/echo?id=1") { Content = new StringContent("abcde"), Version = Version.Parse(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            request.Headers.Add("traceparent", TraceParent);
            // No length is told: the bytes are counted.
            request.Headers.TransferEncodingChunked = version == "1.1" ? true : null;
            using var response = await client.SendAsync(request, Token);
            Assert.Equal("got abcde", await response.Content.ReadAsStringAsync(Token));
            using var probe = await client.GetAsync(new Uri($"http://127.0.0.1:{app.Port}/none"), Token);
        }

        var lines = Encoding.UTF8.GetString(written.ToArray()).TrimEnd('\n').Split('\n').Select(l => JsonDocument.Parse(l).RootElement).ToList();
        Assert.Equal(2, lines.Count);
        var line = lines[0];
        Assert.Equal(
            ("POST", "/echo?id=1", 200, 5L, 9L, TraceId),
            (line.GetProperty("method").GetString(), line.GetProperty("uri").GetString(), line.GetProperty("status").GetInt32(), line.GetProperty("request_bytes").GetInt64(), line.GetProperty("response_bytes").GetInt64(), line.GetProperty("trace_id").GetString()));
        Assert.Equal(meshed ? "spiffe://cluster.local/ns/shop/sa/web" : null, line.TryGetProperty("client.id", out var id) ? id.GetString() : null);
        Assert.InRange(line.GetProperty("processing_ns").GetInt64(), 0, line.GetProperty("total_ns").GetInt64());
        Assert.Equal(404, lines[1].GetProperty("status").GetInt32());
    }

    [Fact]
    public async Task AccessLog_IsOffByDefault()
    {
        await using var app = await MeshApp.StartAsync(_ca);

        Assert.False(app.Services.GetRequiredService<AccessLog>().IsOn);
    }

    [Fact]
    public async Task LogLines_AboutOneRequest_CarryItsTrace()
    {
        using var scopes = new ScopedLines();
        await using var app = await MeshApp.StartAsync(_ca, services: services => services.AddLogging(logging => logging.AddProvider(scopes).SetMinimumLevel(LogLevel.Debug)));
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{app.Port}/");
        request.Headers.Add("traceparent", TraceParent);
        request.Headers.Add("request-timeout", "nonsense");

        using var response = await client.SendAsync(request, Token);

        // The mesh's own line, by the default settings of the app's logging.
        var line = Assert.Single(scopes.Lines, l => l.Category == "Mesh.Server.MeshMiddleware");
        Assert.Contains("deadline was ignored", line.Text, StringComparison.Ordinal);
        Assert.Contains(new("TraceId", TraceId), line.Scope);
    }

    /// <summary>Keeps each line with what its scopes say, as the console and all others see it.</summary>
    private sealed class ScopedLines : ILoggerProvider, ISupportExternalScope
    {
        private IExternalScopeProvider _scopes = new LoggerExternalScopeProvider();

        public System.Collections.Concurrent.ConcurrentQueue<(string Category, string Text, IReadOnlyList<KeyValuePair<string, object?>> Scope)> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

        public void SetScopeProvider(IExternalScopeProvider scopeProvider) => _scopes = scopeProvider;

        public void Dispose()
        {
        }

        private sealed class Logger(ScopedLines all, string category) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state)
                where TState : notnull => all._scopes.Push(state);

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            {
                var scope = new List<KeyValuePair<string, object?>>();
                all._scopes.ForEachScope((one, kept) => kept.AddRange(one as IEnumerable<KeyValuePair<string, object?>> ?? []), scope);
                all.Lines.Enqueue((category, formatter(state, exception), scope));
            }
        }
    }
}
