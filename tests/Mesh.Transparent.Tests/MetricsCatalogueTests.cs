using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Mesh.Telemetry;
using Mesh.Testing;
using Mesh.Xds;
using Mesh.Xds.Decoding;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.Transparent.Tests;

/// <summary>docs/metrics.md says what the code measures, and all of it: two real sidecars with traffic between them against the table.</summary>
public sealed partial class MetricsCatalogueTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Document_AndCode_NameTheSameMetrics()
    {
        var documented = Read();
        var (app, address) = await SidecarPair.AppAsync(a => a.MapGet("/", () => "ok"));
        await using var stopped = app;
        await using var pair = await SidecarPair.StartAsync(address);
        var meters = new[] { pair.Client, pair.Server }.Select(s => s.Services.GetRequiredService<IMeterFactory>()).ToArray();
        var instruments = new Dictionary<string, Instrument>(StringComparer.Ordinal);
        var seen = new List<(string Name, string Tag)>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (meters.Any(m => ReferenceEquals(m, instrument.Meter.Scope)) && instrument.Meter.Name is "Mesh" or "System.Net.Http")
                {
                    lock (instruments)
                    {
                        instruments[instrument.Name] = instrument;
                    }

                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, _, tags, _) => See(instrument, tags));
        listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) => See(instrument, tags));
        listener.Start();
        // Here configuration is given in code: what a control plane sends is counted all the same.
        var xds = new XdsMetrics(meters[0], "https://127.0.0.1:15012", TimeProvider.System);
        xds.Took(XdsTypes.Listener, valid: true);
        xds.Updated(XdsTypes.Listener, ack: true);
        xds.Lost(answered: false);

        using (var http = pair.Http())
        {
            Assert.Equal("ok", await http.GetStringAsync(new Uri("/", UriKind.Relative), Cancel));
        }

        // Neither HTTP nor TLS: carried as bytes.
        using (var raw = new RawHttp(await pair.ConnectAsync(Cancel)))
        {
            await raw.SendAsync("*1\r\n$4\r\nPING\r\n", Cancel);
            await raw.ReadToEndAsync(Cancel);
        }

        await Eventually.Async(
            () => Series().Select(s => s.Name).Distinct().Count() == 5, "calls, attempts, requests and connections of both sides are counted");
        listener.RecordObservableInstruments();

        Dictionary<string, Instrument> all;
        (string Name, string Tag)[] tagged;
        lock (instruments)
        {
            all = new(instruments, StringComparer.Ordinal);
            tagged = [.. seen.Distinct()];
        }

        Assert.Equal(documented.Keys.Order(), all.Keys.Union(Series().Select(s => s.Name)).Order());
        Assert.All(all.Values, i => Assert.Equal(documented[i.Name].Unit, i.Unit));
        Assert.All(all.Values, i => Assert.Contains(KindOf(i), documented[i.Name].Kinds));
        Assert.All(all.Values, i => Assert.False(string.IsNullOrEmpty(i.Description), $"{i.Name} says not what it is"));
        Assert.All(tagged, t => Assert.Contains(t.Tag, documented[t.Name].Tags));
        Assert.All(Series(), s => Assert.Equal(documented[s.Name].Tags.Order(), s.Tags.Select(t => t.Key).Order()));
        Assert.All(Series(), s => Assert.Contains("durations", documented[s.Name].Kinds));

        IEnumerable<MetricSeries> Series() => pair.Client.Metrics.Series.Concat(pair.Server.Metrics.Series);

        void See(Instrument instrument, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            lock (instruments)
            {
                foreach (var (tag, _) in tags)
                {
                    seen.Add((instrument.Name, tag));
                }
            }
        }
    }

    private static string KindOf(Instrument instrument) => instrument switch
    {
        Counter<long> or ObservableCounter<long> => "counter",
        Histogram<long> or Histogram<double> => "histogram",
        _ => "gauge",
    };

    private static Dictionary<string, (string[] Kinds, string Unit, string[] Tags)> Read()
    {
        var rows = new Dictionary<string, (string[] Kinds, string Unit, string[] Tags)>(StringComparer.Ordinal);
        string[] last = [];
        foreach (var line in File.ReadLines(Path.Combine(Path.GetDirectoryName(Here())!, "../../docs/metrics.md")))
        {
            if (!line.StartsWith("| `", StringComparison.Ordinal) || line.Split('|') is not [_, var name, var kinds, var unit, var tags, _, _])
            {
                continue;
            }

            var named = Code().Matches(tags).Select(m => m.Groups[1].Value).ToArray();
            // "as above, and", "the same, and": those of the row before.
            last = tags.Contains("as above", StringComparison.Ordinal) || tags.Contains("the same", StringComparison.Ordinal) ? [.. last, .. named] : named;
            rows.Add(name.Trim(' ', '`'), ([.. kinds.Split(',').Select(k => k.Trim())], unit.Trim(), last));
        }

        Assert.True(rows.Count > 30, "the table was not found");
        return rows;
    }

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Code();

    private static string Here([CallerFilePath] string path = "") => path;
}
