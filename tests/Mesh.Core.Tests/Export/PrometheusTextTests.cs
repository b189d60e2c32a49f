using System.Globalization;
using Mesh.Export;
using Mesh.Telemetry;
using Xunit;

namespace Mesh.Core.Tests.Export;

public sealed class PrometheusTextTests
{
    private readonly MetricAggregate _aggregate = new();

    [Fact]
    public void Histograms_ParsedBack_CountWhatWasRecorded()
    {
        var random = new Random(7);
        TimeSpan[] recorded = [.. Enumerable.Range(0, 5000).Select(_ => TimeSpan.FromSeconds(Math.Pow(2, (random.NextDouble() * 24) - 14)))];
        var series = _aggregate.Get("mesh.client.call.duration", new KeyValuePair<string, string>("mesh.outcome", "success"));
        Array.ForEach(recorded, series.Durations.Record);

        var samples = Parse(Text());
        foreach (var bound in DurationHistogram.TotalBounds)
        {
            var bucket = samples.Single(s => s.Name == "mesh_client_call_duration_seconds_bucket" && s.Labels["le"] != "+Inf" && double.Parse(s.Labels["le"], CultureInfo.InvariantCulture) == bound);
            Assert.Equal(recorded.Count(r => r.TotalSeconds <= bound), bucket.Value);
            Assert.Equal("success", bucket.Labels["mesh_outcome"]);
        }

        Assert.Equal(recorded.Length, samples.Single(s => s.Labels.GetValueOrDefault("le") == "+Inf").Value);
        Assert.Equal(recorded.Length, samples.Single(s => s.Name == "mesh_client_call_duration_seconds_count").Value);
        Assert.Equal(recorded.Sum(r => r.TotalSeconds), samples.Single(s => s.Name == "mesh_client_call_duration_seconds_sum").Value, 3);
    }

    [Fact]
    public void Histograms_OnABound_CountBelowIt()
    {
        var series = _aggregate.Get("x");
        foreach (var bound in DurationHistogram.TotalBounds)
        {
            series.Durations.Record(TimeSpan.FromTicks((long)(bound * TimeSpan.TicksPerSecond)));
            series.Durations.Record(TimeSpan.FromTicks((long)(bound * TimeSpan.TicksPerSecond) + 1));
        }

        var counts = series.Durations.Totals().Counts;
        Assert.Equal(1, counts[0]);
        Assert.All(counts.Skip(1).SkipLast(1), c => Assert.Equal(2, c));
        Assert.Equal(1, counts[^1]);
    }

    [Fact]
    public void Histograms_BesideAnExporter_TakeNothingFromEachOther()
    {
        var series = _aggregate.Get("mesh.server.call.duration");
        series.Durations.Record(TimeSpan.FromSeconds(1));
        Assert.Equal(1, Count());
        Assert.Equal(1, series.Durations.Collect()!.Counts.Sum());
        Assert.Equal(1, Count());
        Assert.Null(series.Durations.Collect());
        series.Durations.Record(TimeSpan.FromSeconds(3));
        Assert.Equal(2, Count());
        var delta = series.Durations.Collect()!;
        Assert.Equal((1, TimeSpan.FromSeconds(3)), (delta.Counts.Sum(), delta.Sum));
        Assert.Equal(4, Parse(Text()).Single(s => s.Name.EndsWith("_sum", StringComparison.Ordinal)).Value);

        double Count() => Parse(Text()).Single(s => s.Name.EndsWith("_count", StringComparison.Ordinal)).Value;
    }

    [Fact]
    public async Task Totals_WhileRecordedAndCollected_NeverGoDownAndLoseNothing()
    {
        const int Each = 20_000;
        var series = _aggregate.Get("x");
        using var done = new CancellationTokenSource();
        long collected = 0;
        var collector = Task.Run(
            () =>
            {
                while (!done.IsCancellationRequested)
                {
                    collected += series.Durations.Collect()?.Counts.Sum() ?? 0;
                }
            },
            TestContext.Current.CancellationToken);
        var reader = Task.Run(
            () =>
            {
                for (long last = 0; !done.IsCancellationRequested;)
                {
                    var now = series.Durations.Totals().Counts.Sum();
                    Assert.True(now >= last, $"{now} after {last}");
                    last = now;
                }
            },
            TestContext.Current.CancellationToken);
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < Each; i++)
            {
                series.Durations.Record(TimeSpan.FromMilliseconds(i));
            }
        })));
        await done.CancelAsync();
        await Task.WhenAll(collector, reader);

        Assert.Equal(3 * Each, series.Durations.Totals().Counts.Sum());
        Assert.Equal(3 * Each, collected + (series.Durations.Collect()?.Counts.Sum() ?? 0));
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("quote\" back\\slash\nnewline\r\ttab")]
    [InlineData("\"} 1\nforged_metric{a=\"b")]
    [InlineData("\\")]
    [InlineData("\\n")]
    [InlineData("ünïcödé ☃ {},=")]
    [InlineData("")]
    public void Histograms_HostileTag_ComesBackAsItWas(string value)
    {
        _aggregate.Get("x", new("mesh.destination.service", value), new("le", "9")).Durations.Record(TimeSpan.FromSeconds(1));

        var samples = Parse(Text());
        Assert.Equal(DurationHistogram.TotalBounds.Count + 3, samples.Count);
        Assert.All(samples, s => Assert.StartsWith("x_seconds_", s.Name, StringComparison.Ordinal));
        Assert.All(samples, s => Assert.Equal((value, "9"), (s.Labels["mesh_destination_service"], s.Labels["exported_le"])));
    }

    [Fact]
    public void Histograms_TagsThatBecomeOneName_AreOneLabel()
    {
        _aggregate.Get("x", new("a.b", "1"), new("a-b", "2")).Durations.Record(TimeSpan.FromSeconds(1));
        Assert.All(Parse(Text()), s => Assert.Equal("1;2", s.Labels["a_b"]));
    }

    [Theory]
    [InlineData("mesh.client.call.duration", "s", false, "mesh_client_call_duration_seconds")]
    [InlineData("mesh.client.decisions", "{decision}", true, "mesh_client_decisions_total")]
    [InlineData("sent", "By", true, "sent_bytes_total")]
    [InlineData("sent_total", "By", true, "sent_bytes_total")]
    [InlineData("up_seconds", "s", false, "up_seconds")]
    [InlineData("2xx..rate", "1", false, "_2xx_rate")]
    public void Name_IsOpenTelemetrysTranslation(string name, string unit, bool isCounter, string expected) => Assert.Equal(expected, PrometheusNames.Of(name, unit, isCounter));

    [Fact]
    public void Counters_OfTheMeter_AreTotals()
    {
        var name = "test." + Guid.NewGuid().ToString("N");
        using var totals = new CounterTotals(name);
        using var meter = new System.Diagnostics.Metrics.Meter(name);
        var counter = meter.CreateCounter<long>("mesh.server.decisions", "{decision}", "What was\ndecided.");
        counter.Add(2, new KeyValuePair<string, object?>("mesh.reason", "a\"b"));
        counter.Add(3, new KeyValuePair<string, object?>("mesh.reason", "a\"b"));
        counter.Add(1, new KeyValuePair<string, object?>("mesh.reason", "c"));

        var text = string.Concat(PrometheusText.Counters(totals));
        Assert.StartsWith("# HELP mesh_server_decisions_total What was\\ndecided.\n# TYPE mesh_server_decisions_total counter\n", text, StringComparison.Ordinal);
        Assert.Equal([("a\"b", 5), ("c", 1)], Parse(text).Select(s => (s.Labels["mesh_reason"], s.Value)).Order());
    }

    [Fact]
    public void Counters_TooManySeries_ShareOne()
    {
        var name = "test." + Guid.NewGuid().ToString("N");
        using var totals = new CounterTotals(name);
        using var meter = new System.Diagnostics.Metrics.Meter(name);
        var counter = meter.CreateCounter<long>("c");
        for (var i = 0; i < CounterTotals.MaxSeries + 10; i++)
        {
            counter.Add(1, new KeyValuePair<string, object?>("i", i));
        }

        Assert.Equal(CounterTotals.MaxSeries + 1, totals.All.Count());
        Assert.Equal(10, totals.All.Single(t => t.Tags is [{ Key: "otel.metric.overflow" }]).Total);
    }

    [Fact]
    public void Gauge_Samples_AreWrittenUnderOneHeader() => Assert.Equal(
        "# HELP mesh_up_seconds Since.\n# TYPE mesh_up_seconds gauge\nmesh_up_seconds 1.5\n", PrometheusText.Gauge("mesh.up", "s", "Since.", TextFormat.Prometheus, ([], 1.5)));

    private string Text() => string.Concat(PrometheusText.Histograms(_aggregate));

    // The text format's grammar, as it is specified, and nothing of how it is written.
    private static List<Sample> Parse(string text)
    {
        var samples = new List<Sample>();
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        foreach (var line in text[..^1].Split('\n'))
        {
            if (line.StartsWith("# ", StringComparison.Ordinal))
            {
                continue;
            }

            var at = 0;
            while (at < line.Length && (char.IsAsciiLetterOrDigit(line[at]) || line[at] is '_' or ':'))
            {
                at++;
            }

            var (name, labels) = (line[..at], new Dictionary<string, string>(StringComparer.Ordinal));
            Assert.NotEmpty(name);
            if (line[at] == '{')
            {
                for (at++; line[at] != '}';)
                {
                    var equals = line.IndexOf('=', at);
                    var label = line[at..equals];
                    Assert.Matches("^[a-zA-Z_][a-zA-Z0-9_]*$", label);
                    Assert.Equal('"', line[equals + 1]);
                    var value = new System.Text.StringBuilder();
                    for (at = equals + 2; line[at] != '"'; at++)
                    {
                        value.Append(line[at] != '\\' ? line[at] : line[++at] switch { 'n' => '\n', '\\' => '\\', '"' => '"', var c => throw new FormatException($"\\{c}") });
                    }

                    labels.Add(label, value.ToString());
                    at += line[at + 1] == ',' ? 2 : 1;
                }

                at++;
            }

            Assert.Equal(' ', line[at]);
            samples.Add(new Sample(name, labels, double.Parse(line[(at + 1)..], CultureInfo.InvariantCulture)));
        }

        return samples;
    }

    private sealed record Sample(string Name, Dictionary<string, string> Labels, double Value);
}
