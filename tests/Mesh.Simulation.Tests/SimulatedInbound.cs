using Mesh.Hosting;
using Mesh.Server;
using Mesh.Telemetry;
using Mesh.Testing.Simulation;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.Simulation.Tests;

/// <summary>The real inbound path before a simulated app: what Kestrel would hand to the mesh's middleware, without Kestrel.</summary>
internal sealed class SimulatedInbound : IDisposable
{
    private static readonly object _exchange = new();
    private static readonly object _app = new();
    private readonly ServiceProvider _services;
    private readonly MeshMiddleware _middleware;
    private readonly MeshConnectionFeature _connection = new(null, Server.Listening.FirstBytes.Plain, isMeshTls: false, "10.0.0.1:80");

    public SimulatedInbound(SimulatedWorld world)
    {
        _services = new ServiceCollection()
            .AddMetrics()
            .AddSingleton<TimeProvider>(world.Time)
            .BuildServiceProvider();
        var node = new LocalNode("app~1~sim", "sim", "app", "app", []);
        _middleware = new MeshMiddleware(
            ServeAsync,
            new MeshGate(_services),
            new InboundMetrics(new MetricAggregate(), node),
            new InboundCounters(_services.GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>()),
            NullLogger<MeshMiddleware>.Instance);
    }

    /// <summary>For <see cref="SimulatedServer.Front"/>.</summary>
    public async Task<SimulatedAnswer> AnswerAsync(SimulatedExchange exchange, SimulatedApp app, CancellationToken cancellationToken)
    {
        var context = new DefaultHttpContext { RequestAborted = cancellationToken };
        context.Features.Set(_connection);
        context.Request.Method = exchange.Method.Method;
        context.Request.Path = exchange.Uri.AbsolutePath;
        context.Request.Protocol = "HTTP/2";
        foreach (var (name, value) in exchange.Headers)
        {
            context.Request.Headers[name] = value;
        }

        (context.Items[_exchange], context.Items[_app]) = (exchange, app);
        await _middleware.InvokeAsync(context).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        return new SimulatedAnswer(context.Response.StatusCode, [.. context.Response.Headers.Select(h => KeyValuePair.Create(h.Key, h.Value.ToString()))]);
    }

    public void Dispose() => _services.Dispose();

    private static async Task ServeAsync(HttpContext context)
    {
        var answer = await ((SimulatedApp)context.Items[_app]!)((SimulatedExchange)context.Items[_exchange]!, context.RequestAborted).ConfigureAwait(false);
        context.Response.StatusCode = answer.Status;
        foreach (var (name, value) in answer.Headers ?? [])
        {
            context.Response.Headers[name] = value;
        }
    }
}
