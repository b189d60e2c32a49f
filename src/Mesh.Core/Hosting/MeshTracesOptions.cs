namespace Mesh.Hosting;

/// <summary>Which calls are traced for the mesh itself: section <c>Mesh:Traces</c>. An app's own OpenTelemetry goes by its own settings.</summary>
/// <remarks>A call below one that is traced is traced, below one that is not it is not: the header <c>traceparent</c> says so, or <c>grpc-trace-bin</c>, or B3's.</remarks>
public sealed class MeshTracesOptions
{
    /// <summary>Record spans and send them to the control plane. Default: true.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Of calls that begin here, how many are traced, 0–1. Default: 0.01; of a sidecar 0, as Linkerd's. Where the app has a tracer that makes a span for the call, that one's sampler decides.</summary>
    public double? Ratio { get; set; }

    /// <summary>Keep one span of a call that failed or was slow also when it is not traced, at most ten a second. Default: true; of a sidecar false.</summary>
    public bool? Failed { get; set; }

    /// <summary>What slow is; zero is never. Default: 1 s.</summary>
    public TimeSpan SlowerThan { get; set; } = TimeSpan.FromSeconds(1);
}
