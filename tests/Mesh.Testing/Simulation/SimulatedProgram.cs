using Mesh.Config;
using Mesh.Identity;
using Mesh.Outbound;
using Mesh.Outbound.Steps;
using Mesh.Telemetry;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.Testing.Simulation;

/// <summary>One calling process: the real outbound path from table to attempt, on virtual time and the simulated network.</summary>
internal sealed class SimulatedProgram : IDisposable
{
    private readonly InMemoryConfigSource _config = new();
    private readonly ClusterRegistry _clusters;
    private readonly OutboundTableStore _tables;
    private readonly TelemetryStep _telemetry;
    private readonly OutboundPipeline _pipeline;
    private readonly HttpMessageInvoker _outside = new(new Outside());

    public SimulatedProgram(SimulatedWorld world, string zone = "a")
    {
        World = world;
        var settings = new OutboundSettings("caller", "sim", "cluster.local");
        _clusters = new ClusterRegistry(new NoIdentity(), world.Time, NullLoggerFactory.Instance, world.Network.From(zone), world.Random);
        _tables = new OutboundTableStore(_config, _clusters, settings, new MetricAggregate(), world.Time, world.Random, NullLoggerFactory.Instance);
        _telemetry = new TelemetryStep(null, world.Time);
        _pipeline = new OutboundPipeline(_tables, settings, _telemetry, world.Time, world.Random);
    }

    public SimulatedWorld World { get; }

    /// <summary>Puts a configuration in force, as a control plane would.</summary>
    public void Configure(params SimulatedService[] services) => _config.Set(SimulatedService.Snapshot(services));

    /// <summary>Read or dispose the answer.</summary>
    public ValueTask<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        _pipeline.SendAsync(request, _outside, limits: null, cancellationToken);

    /// <summary>The live cluster of a service that is configured.</summary>
    public OutboundCluster Cluster(SimulatedService service) => _clusters.Get(service.ClusterName);

    /// <summary>Drops the configuration, so that all connections close when their calls have ended, and stops.</summary>
    public void Dispose()
    {
        _config.Set(MeshSnapshot.Empty);
        _tables.Dispose();
        _telemetry.Dispose();
        _outside.Dispose();
    }

    /// <summary>Endpoints of simulations speak without TLS.</summary>
    private sealed class NoIdentity : IWorkloadIdentitySource
    {
        public WorkloadIdentity? Current => null;

        public ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken) =>
            ValueTask.FromException<WorkloadIdentity>(new InvalidOperationException("Simulated endpoints need no identity."));
    }

    /// <summary>Whatever a call passes the mesh by is a mistake of the scenario.</summary>
    private sealed class Outside : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            throw new InvalidOperationException($"'{request.RequestUri}' is not in the configuration of the simulation.");
    }
}
