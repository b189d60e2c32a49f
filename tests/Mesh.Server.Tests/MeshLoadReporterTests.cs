using Mesh.Protos.Orca;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>What a workload says of its own load.</summary>
public sealed class MeshLoadReporterTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly MeshLoadReporter _reporter;
    private TimeSpan _cpu;

    public MeshLoadReporterTests() => _reporter = new MeshLoadReporter(_time, () => _cpu);

    [Fact]
    public void Report_NothingSet_IsWhatWasMeasured()
    {
        Assert.Equal(new OrcaLoadReport(), Now());
        for (var i = 0; i < 50; i++)
        {
            _reporter.Count(success: i % 5 != 0);
        }

        _time.Advance(TimeSpan.FromSeconds(2));
        _cpu = TimeSpan.FromSeconds(0.5 * Environment.ProcessorCount);
        Assert.Equal(new OrcaLoadReport { RpsFractional = 25, Eps = 5, CpuUtilization = 0.25 }, Now());
        Assert.Equal("TEXT cpu_utilization=0.25, rps_fractional=25, eps=5", _reporter.Current().Text);
    }

    [Fact]
    public void Report_AfterTheLoadHasGone_ForgetsItWithinSeconds()
    {
        for (var i = 0; i < 1000; i++)
        {
            _reporter.Count(success: true);
        }

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1000, Now().RpsFractional);
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.InRange(Now().RpsFractional, 300, 400);
        _time.Advance(TimeSpan.FromSeconds(60));
        Assert.InRange(Now().RpsFractional, 0, 0.1);
    }

    [Fact]
    public void Report_WithinAMoment_IsMadeOnceButASetValueShowsAtOnce()
    {
        _time.Advance(TimeSpan.FromSeconds(1));
        var first = _reporter.Current();
        _time.Advance(TimeSpan.FromMilliseconds(249));
        Assert.Same(first, _reporter.Current());
        _reporter.ApplicationUtilization = 0.5;
        Assert.Equal(0.5, Now().ApplicationUtilization);
        var second = _reporter.Current();
        _time.Advance(TimeSpan.FromMilliseconds(250));
        Assert.NotSame(second, _reporter.Current());
    }

    [Fact]
    public void Report_OwnNumbers_AreInBothForms()
    {
        _reporter.ApplicationUtilization = 0.5;
        _reporter.CpuUtilization = 0.75;
        _reporter.MemoryUtilization = 0.25;
        _reporter.SetMetric("queue", 1.5);
        _reporter.SetMetric("größe", 2);
        _reporter.SetMetric("gone", 3);
        _reporter.RemoveMetric("gone");
        _reporter.RemoveMetric("never was");
        var expected = new OrcaLoadReport { ApplicationUtilization = 0.5, CpuUtilization = 0.75, MemUtilization = 0.25, NamedMetrics = { ["queue"] = 1.5, ["größe"] = 2 } };
        Assert.Equal(expected, Now());
        Assert.Equal("TEXT cpu_utilization=0.75, rps_fractional=0, eps=0, application_utilization=0.5, mem_utilization=0.25, named_metrics.queue=1.5", _reporter.Current().Text);
        _reporter.ApplicationUtilization = null;
        Assert.Equal(0, Now().ApplicationUtilization);
        Assert.Null(_reporter.ApplicationUtilization);
    }

    [Theory]
    [InlineData(-0.1)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void Set_ImpossibleValue_IsRefused(double value)
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => _reporter.ApplicationUtilization = value);
        Assert.Throws<ArgumentOutOfRangeException>(() => _reporter.CpuUtilization = value);
        Assert.Throws<ArgumentOutOfRangeException>(() => _reporter.MemoryUtilization = value);
        Assert.Throws<ArgumentOutOfRangeException>(() => _reporter.SetMetric("queue", value));
        Assert.Equal(new OrcaLoadReport(), Now());
    }

    [Theory]
    [InlineData("")]
    [InlineData("a,b")]
    [InlineData("a=b")]
    [InlineData("a\r\nb")]
    public void SetMetric_NameThatBreaksAHeader_IsRefused(string name) => Assert.Throws<ArgumentException>(() => _reporter.SetMetric(name, 1));

    [Fact]
    public void Report_FromManyThreads_IsAlwaysWhole()
    {
        Parallel.For(0, 8, thread =>
        {
            for (var i = 0; i < 2_000; i++)
            {
                _reporter.Count(success: true);
                _reporter.SetMetric($"m{thread}", i);
                _reporter.ApplicationUtilization = i;
                Assert.StartsWith("TEXT cpu_utilization=0, rps_fractional=", _reporter.Current().Text, StringComparison.Ordinal);
            }
        });
        _time.Advance(TimeSpan.FromSeconds(1));
        var report = Now();
        Assert.Equal(16_000, report.RpsFractional);
        Assert.Equal(Enumerable.Repeat(1_999.0, 8), report.NamedMetrics.Values);
    }

    private OrcaLoadReport Now()
    {
        var report = _reporter.Current();
        var read = OrcaLoadReport.Parser.ParseFrom(report.Bytes);
        Assert.Equal(report.Bytes, Convert.FromBase64String(report.Base64));
        return read;
    }
}
