using System.Globalization;
using Grpc.Net.Client;
using Mesh.Protos.Otlp;
using Mesh.Telemetry;
using Xunit;

namespace Mesh.Dashboard.Tests;

/// <summary>A workload that calls nine others, by five routes each and at ten endpoints each, and tells what it counted: 500 series.</summary>
internal sealed class BusyWorkload : IDisposable
{
    public const int Series = 500;
    private const int Routes = 5;
    private const int Endpoints = 10;
    private const int FirstPort = 20_000;
    private readonly GrpcChannel _channel;
    private readonly MetricsService.MetricsServiceClient _control;
    private readonly ExportMetricsServiceRequest _report;
    private readonly List<ExponentialHistogramDataPoint> _durations = [];
    private readonly List<NumberDataPoint> _counts = [];
    private uint _turn;

    public BusyWorkload(string name, GrpcChannel channel)
    {
        (_channel, _control) = (channel, new MetricsService.MetricsServiceClient(channel));
        var calls = Histogram(MeshTags.ClientCallDuration);
        var attempts = Histogram(MeshTags.ClientAttemptDuration);
        foreach (var called in Names.Where(other => other != name))
        {
            for (var route = 0; route < Routes; route++)
            {
                Add(calls, name, called, route);
                foreach (var port in PortsOf(called))
                {
                    Add(attempts, name, called, route, (MeshTags.Backend, called), (MeshTags.BackendNamespace, "shop"), (MeshTags.Endpoint, $"127.0.0.1:{port}"), (MeshTags.Reached, "true"));
                }
            }
        }

        var decisions = new Metric { Name = MeshTags.ClientDecisions, Sum = new Sum { AggregationTemporality = AggregationTemporality.Delta, IsMonotonic = true } };
        while (_durations.Count + _counts.Count < Series)
        {
            var point = new NumberDataPoint { Attributes = { Text(MeshTags.Decision, "retry"), Text(MeshTags.Reason, string.Create(CultureInfo.InvariantCulture, $"{500 + _counts.Count}")), Text(MeshTags.Destination, Names[0]), Text(MeshTags.DestinationNamespace, "shop") } };
            decisions.Sum.DataPoints.Add(point);
            _counts.Add(point);
        }

        _report = new ExportMetricsServiceRequest
        {
            ResourceMetrics =
            {
                new ResourceMetrics
                {
                    Resource = new Resource { Attributes = { Text("service.namespace", "shop"), Text("service.name", name), Text("service.instance.id", $"{name}~1~shop") } },
                    ScopeMetrics = { new ScopeMetrics { Metrics = { calls, attempts, decisions } } },
                },
            },
        };
    }

    /// <summary>That it told of, and that were acknowledged.</summary>
    public long Calls { get; private set; }

    public static IReadOnlyList<string> Names { get; } = [.. Enumerable.Range(0, BusyMesh.Workloads).Select(i => $"svc-{i}")];

    /// <summary>Nobody listens there: it is only told of.</summary>
    public static IEnumerable<int> PortsOf(string name)
    {
        var number = int.Parse(name["svc-".Length..], CultureInfo.InvariantCulture);
        return Enumerable.Range(FirstPort + (number * Endpoints), Endpoints);
    }

    /// <summary>Tells what it counted in the half minute before now: no two reports are alike.</summary>
    public async Task ReportAsync(DateTimeOffset now)
    {
        _turn++;
        var end = (ulong)(now - DateTimeOffset.UnixEpoch).Ticks * 100;
        var start = end - ((ulong)BusyMesh.Interval.Ticks * 100);
        long calls = 0;
        for (var i = 0; i < _durations.Count; i++)
        {
            var (point, few) = (_durations[i], 1 + ((_turn * 7) + (uint)i) % 11);
            (point.StartTimeUnixNano, point.TimeUnixNano, point.Count) = (start, end, few + 2);
            (point.Positive.BucketCounts[0], point.Positive.BucketCounts[5]) = (few, 2);
            calls += point.Attributes.Any(a => a.Key == MeshTags.Endpoint) ? 0 : few + 2;
        }

        foreach (var point in _counts)
        {
            (point.StartTimeUnixNano, point.TimeUnixNano, point.AsInt) = (start, end, 1 + (_turn % 3));
        }

        var answer = await _control.ExportAsync(_report, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Null(answer.PartialSuccess);
        Calls += calls;
    }

    public void Dispose() => _channel.Dispose();

    private static Metric Histogram(string name) => new() { Name = name, Unit = "s", ExponentialHistogram = new ExponentialHistogram { AggregationTemporality = AggregationTemporality.Delta } };

    private void Add(Metric metric, string name, string called, int route, params (string Key, string Value)[] more)
    {
        var point = new ExponentialHistogramDataPoint { Scale = 4, Positive = new() { Offset = -120, BucketCounts = { 0, 0, 0, 0, 0, 0 } } };
        (string Key, string Value)[] tags =
        [
            (MeshTags.Source, name), (MeshTags.SourceNamespace, "shop"), (MeshTags.Destination, called), (MeshTags.DestinationNamespace, "shop"),
            (MeshTags.Route, $"{called}/{route}"), (MeshTags.Outcome, MeshTags.Success), (MeshTags.Tls, "mesh"), .. more,
        ];
        point.Attributes.AddRange(tags.Select(tag => Text(tag.Key, tag.Value)));
        metric.ExponentialHistogram.DataPoints.Add(point);
        _durations.Add(point);
    }

    private static KeyValue Text(string key, string value) => new() { Key = key, Value = new AnyValue { StringValue = value } };
}
