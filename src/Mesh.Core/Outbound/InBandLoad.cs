using System.Net.Http.Headers;
using Mesh.Balancing;
using Mesh.Config;

namespace Mesh.Outbound;

/// <summary>Load reports that come with the answers (ORCA, gRFC A51), for clusters that weigh their endpoints by them.</summary>
internal static class InBandLoad
{
    /// <summary>Asks a server for a report in the form of its value; servers of gRPC's own libraries report unasked.</summary>
    private const string AskHeader = "endpoint-load-metrics-format";
    private const string BinaryHeader = "endpoint-load-metrics-bin";
    private const string TextHeader = "endpoint-load-metrics";

    /// <summary>True when the request asks now and did not before: <see cref="Unask"/> makes it again what it was.</summary>
    public static bool Ask(HttpRequestMessage request, Cluster cluster) =>
        Settings(cluster) is not null && !request.Headers.NonValidated.Contains(AskHeader) && request.Headers.TryAddWithoutValidation(AskHeader, "text");

    public static void Unask(HttpRequestMessage request) => request.Headers.Remove(AskHeader);

    /// <summary>The response has ended, so that its trailers are there.</summary>
    public static void Read(OutboundEndpoint endpoint, HttpResponseMessage response, TimeProvider time)
    {
        if (Settings(endpoint.Cluster.Config) is { } settings
            && (TryRead(response.TrailingHeaders, settings.MetricNames, out var report) || TryRead(response.Headers, settings.MetricNames, out report)))
        {
            endpoint.ReportLoad(report, settings, time.GetTimestamp());
        }
    }

    private static WeightedRoundRobin? Settings(Cluster cluster) =>
        cluster is { LoadBalancing: LoadBalancing.WeightedRoundRobin, WeightedRoundRobin: { OutOfBand: false } settings } ? settings : null;

    private static bool TryRead(HttpResponseHeaders headers, IReadOnlyList<string> metricNames, out LoadReport report)
    {
        report = default;
        // Two reports are none (gRFC A51).
        return (headers.NonValidated.TryGetValues(BinaryHeader, out var binary) && binary.Count == 1 && LoadReportReader.TryReadBase64(binary.ToString(), metricNames, out report))
            || (headers.NonValidated.TryGetValues(TextHeader, out var text) && text.Count == 1 && LoadReportReader.TryReadHeader(text.ToString(), metricNames, out report));
    }
}
