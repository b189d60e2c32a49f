using System.Diagnostics.Metrics;
using Mesh.Identity;
using Mesh.Telemetry;
using Microsoft.Extensions.DependencyInjection;

namespace Mesh.Hosting;

/// <summary>The gauges of what every process of the mesh has: a certificate, and series.</summary>
internal static class MeshInstruments
{
    /// <summary>Makes them; they live as long as the host. Without metrics in the host there are none.</summary>
    public static void Register(IServiceProvider services)
    {
        if (services.GetService<IMeterFactory>()?.Create(new MeterOptions(CounterTotals.MeterName)) is not { } meter)
        {
            return;
        }

        var (identity, aggregate, counters) = (services.GetRequiredService<IWorkloadIdentitySource>(), services.GetRequiredService<MetricAggregate>(), services.GetRequiredService<CounterTotals>());
        Register(meter, identity);
        meter.CreateObservableGauge(MeshTags.TelemetrySeries, () => (long)aggregate.Count, "{series}", "Series of durations that are kept.");
        meter.CreateObservableGauge(MeshTags.TelemetryMaxSeries, () => (long)MetricAggregate.MaxSeries, "{series}", "Most series of durations that are kept.");
        meter.CreateObservableCounter(MeshTags.TelemetryOverflowed, () => Overflowed(aggregate, counters), "{series}", "How often a series was asked for that did not fit, by metric.");
    }

    /// <summary>Only who this workload is.</summary>
    public static void Register(Meter meter, IWorkloadIdentitySource identity)
    {
        meter.CreateObservableGauge(MeshTags.CertificateExpiration, () => Expiration(identity), "s", "When this workload's certificate is over, in seconds since 1970.");
        meter.CreateObservableGauge(MeshTags.CertificateGeneration, () => Generation(identity), "1", "How many certificates there have been.");
    }

    private static IEnumerable<Measurement<double>> Expiration(IWorkloadIdentitySource identity) =>
        identity.Current is { } current ? [new((current.Svid.NotAfter - DateTimeOffset.UnixEpoch).TotalSeconds)] : [];

    private static IEnumerable<Measurement<long>> Generation(IWorkloadIdentitySource identity) =>
        identity.Current is { } current ? [new(current.LeafGeneration)] : [];

    private static IEnumerable<Measurement<long>> Overflowed(MetricAggregate aggregate, CounterTotals counters) =>
        aggregate.Overflowed.Concat(counters.Counters.Where(c => c.Overflowed > 0).GroupBy(c => c.Name, StringComparer.Ordinal).Select(g => KeyValuePair.Create(g.Key, g.Sum(c => c.Overflowed))))
            .Select(o => new Measurement<long>(o.Value, new KeyValuePair<string, object?>(MeshTags.MetricName, o.Key)));
}
