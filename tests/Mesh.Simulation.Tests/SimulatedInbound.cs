using System.Diagnostics.Metrics;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Inbound;
using Mesh.Resilience;
using Mesh.Server;
using Mesh.Tap;
using Mesh.Telemetry;
using Mesh.Testing;
using Mesh.Testing.Simulation;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Mesh.Simulation.Tests;

/// <summary>The real inbound path before a simulated app: what Kestrel would hand to the mesh's middleware, without Kestrel.</summary>
internal sealed class SimulatedInbound : IDisposable
{
    private static readonly object _exchange = new();
    private static readonly object _app = new();
    private static readonly Lazy<WorkloadIdentity> _identity = new(CreateIdentity);
    private readonly ServiceProvider _services;
    private readonly MeshMiddleware _middleware;
    private readonly MeshConnectionFeature _connection;

    /// <param name="concurrency">What the control plane says that this server takes on; null is no limit.</param>
    public SimulatedInbound(SimulatedWorld world, ServerConcurrency? concurrency = null)
    {
        var address = new InboundAddress("10.0.0.1:80");
        var policy = InboundPolicy.Permissive;
        if (concurrency is not null)
        {
            var http = new HttpConnectionManager(null, null, null) { Filters = [new HttpFilter("limits", new InboundLimits { Concurrency = concurrency })] };
            var listener = new Listener("inbound") { FilterChains = [new FilterChain("plain", TransportProtocol.RawBuffer, MeshTls: false, RequireClientCertificate: false) { Http = http }] };
            policy = InboundPolicy.From(listener, own: null, new LimitStates([], ServerLimits.None, world.Time), keys: null, world.Time);
        }

        address.Publish(policy);
        _connection = new MeshConnectionFeature(address, Server.Listening.FirstBytes.Plain, isMeshTls: false, address.Name);
        _services = new ServiceCollection()
            .AddMetrics()
            .AddSingleton<TimeProvider>(world.Time)
            .AddSingleton<IWorkloadIdentitySource>(new FixedIdentitySource(_identity.Value))
            .AddSingleton(Options.Create(new MeshOptions()))
            .BuildServiceProvider();
        var gate = new MeshGate(_services);
        // Without the process' own CPU time: that is no part of the simulation.
        var load = new MeshLoadReporter(world.Time, static () => TimeSpan.Zero);
        var (counters, refusals) = (new InboundCounters(_services.GetRequiredService<IMeterFactory>()), new RefusalLog(world.Time));
        var tap = new InboundTap(new TapPoint(world.Time), new DenialReports(world.Time));
        _middleware = new MeshMiddleware(
            ServeAsync,
            gate,
            new InboundMetrics(new MetricAggregate(), new LocalNode("app~1~sim", "sim", "app", "app", [])),
            counters,
            refusals,
            new LoadResponses(load, gate),
            new LoadStream(load, gate, _services),
            new HeaderTrust(gate, NullLogger<HeaderTrust>.Instance),
            new InboundAuthentication(gate, counters, refusals, tap, NullLogger<InboundAuthentication>.Instance),
            new InboundAuthorization(gate, counters, refusals, tap, NullLogger<InboundAuthorization>.Instance),
            new ServerSpans(new SpanRecorder(null, world.Time, new Random(1))),
            tap,
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

    private static WorkloadIdentity CreateIdentity()
    {
        using var ca = new TestCa("sim");
        return ca.Identity("sim", "app");
    }
}
