using System.Diagnostics;
using Mesh.ControlPlane.Telemetry;
using Mesh.Export;
using Mesh.Protos.Otlp;
using Mesh.Spiffe;
using Mesh.Telemetry;
using OpenTelemetry;
using OpenTelemetry.Instrumentation.AspNetCore;
using OpenTelemetry.Trace;

namespace Mesh.ControlPlane.Hosting;

/// <summary>The control plane's own spans, beside those of the mesh and given on with them. Of a program alone: a tracer hears the whole process, and an app that embeds a control plane has its own.</summary>
internal sealed class SelfTracing : IDisposable
{
    public const string Workload = "mesh-control-plane";

    /// <summary>Streams that live as long as their client does, what is asked all the time, and spans themselves.</summary>
    private static readonly string[] Untraced = ["/opentelemetry.", "/envoy.service.discovery.", "/mesh.tap.", "/livez", "/readyz", "/metrics", "/api/v1/stream", "/api/v1/tap", "/api/v1/top"];

    private readonly TracerProvider _tracer;

    private SelfTracing(TracerProvider tracer) => _tracer = tracer;

    /// <returns>Null where telemetry goes nowhere.</returns>
    public static SelfTracing? Start(MeshControlPlaneOptions options, IServiceProvider services)
    {
        if (options.Otlp is null)
        {
            return null;
        }

        var id = SpiffeId.ForServiceAccount(TrustDomain.Parse(options.TrustDomain), options.SystemNamespace ?? "mesh-system", Workload);
        var resource = OtlpRequest.Resource(Workload, id.Namespace!, options.ReplicaName ?? Environment.MachineName);
        var tracer = Sdk.CreateTracerProviderBuilder()
            .ConfigureServices(s => s.Configure<AspNetCoreTraceInstrumentationOptions>(o => o.Filter = context => !Untraced.Any(u => context.Request.Path.Value?.StartsWith(u, StringComparison.Ordinal) == true)))
            .AddMeshInstrumentation()
            .AddProcessor(new Keep(services.GetRequiredService<TraceIntake>(), resource, id))
            .Build();
        return new SelfTracing(tracer);
    }

    public void Dispose() => _tracer.Dispose();

    private sealed class Keep(TraceIntake intake, Resource resource, SpiffeId id) : BaseProcessor<Activity>
    {
        public override void OnEnd(Activity data)
        {
            if (data.Recorded)
            {
                var span = new FinishedSpan(data, data.DisplayName, data.Kind, data.StartTimeUtc, data.Duration, data.Status == ActivityStatusCode.Error);
                intake.Take(SpanMessages.Request(resource, [span]), id);
            }
        }
    }
}
