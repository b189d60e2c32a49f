using Mesh.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>The names of our tags and metrics as Prometheus has them.</summary>
internal static class PromLabels
{
    public static readonly string Source = Of(MeshTags.Source);
    public static readonly string SourceNamespace = Of(MeshTags.SourceNamespace);
    public static readonly string Destination = Of(MeshTags.Destination);
    public static readonly string DestinationNamespace = Of(MeshTags.DestinationNamespace);
    public static readonly string Route = Of(MeshTags.Route);
    public static readonly string Backend = Of(MeshTags.Backend);
    public static readonly string BackendNamespace = Of(MeshTags.BackendNamespace);
    public static readonly string Endpoint = Of(MeshTags.Endpoint);
    public static readonly string Outcome = Of(MeshTags.Outcome);
    public static readonly string Tls = Of(MeshTags.Tls);
    public static readonly string Reached = Of(MeshTags.Reached);
    public static readonly string IoDirection = Of(MeshTags.IoDirection);
    public static readonly string Decision = Of(MeshTags.Decision);
    public static readonly string Reason = Of(MeshTags.Reason);
    public const string UpTo = "le";

    /// <summary>What tells series of one kind apart.</summary>
    public static readonly string All = string.Join(',', Source, SourceNamespace, Destination, DestinationNamespace, Route, Backend, BackendNamespace, Endpoint, Outcome, Tls, Reached, UpTo);

    /// <summary>What tells connections apart that carry no HTTP.</summary>
    public static readonly string Connection = string.Join(',', Source, SourceNamespace, Destination, DestinationNamespace, Tls, IoDirection);

    public static string Bytes(string metric) => $"{Of(metric)}_bytes_total";

    public static string Gauge(string metric) => Of(metric);

    public static string Histogram(string metric) => $"{Of(metric)}_seconds_bucket";

    public static string Counter(string metric) => $"{Of(metric)}_total";

    private static string Of(string name) => name.Replace('.', '_');
}
