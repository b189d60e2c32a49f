using System.Globalization;
using CsCheck;
using Google.Protobuf;
using Mesh.Protos.Orca;
using Xunit;

namespace Mesh.Balancing;

/// <summary>Our reader against Google's writer of the same messages.</summary>
[Trait("gRFC", "A51")]
public sealed class LoadReportReaderTests
{
    private static readonly OrcaLoadReport _full = new()
    {
        CpuUtilization = 0.25,
        MemUtilization = 0.5,
        ApplicationUtilization = 0.75,
        RpsFractional = 120.5,
        Eps = 3.5,
        RequestCost = { ["db"] = 7 },
        Utilization = { ["disk"] = 0.625, ["net"] = 0.125 },
        NamedMetrics = { ["queue"] = 0.875, ["größe"] = 0.0625 },
    };

    [Fact]
    public void Read_Application_GoesBeforeNamedBeforeCpu()
    {
        Assert.Equal(new LoadReport(0.75, 120.5, 3.5), Read(_full, "named_metrics.queue"));
        var report = _full.Clone();
        report.ApplicationUtilization = 0;
        Assert.Equal(0.875, Read(report, "utilization.disk", "named_metrics.queue").Utilization);
        Assert.Equal(0.0625, Read(report, "named_metrics.größe").Utilization);
        Assert.Equal(0.5, Read(report, "mem_utilization").Utilization);
        Assert.Equal(0.25, Read(report, "named_metrics.absent", "named_metrics.queu", "queue", "utilization.").Utilization);
        Assert.Equal(0.25, Read(report).Utilization);
        Assert.Equal(default, Read(new OrcaLoadReport(), "named_metrics.queue"));
    }

    [Fact]
    public void ReadBase64_WithAndWithoutPadding_IsTheSame()
    {
        foreach (var cpu in new[] { 0.1, 0.2 })
        {
            for (var extra = 0; extra < 4; extra++)
            {
                var report = new OrcaLoadReport { CpuUtilization = cpu, RpsFractional = 4, NamedMetrics = { [new string('x', extra)] = 1 } };
                var text = Convert.ToBase64String(report.ToByteArray());
                Assert.True(LoadReportReader.TryReadBase64(text, [], out var padded));
                Assert.True(LoadReportReader.TryReadBase64(text.TrimEnd('='), [], out var bare));
                Assert.Equal(new LoadReport(cpu, 4, 0), padded);
                Assert.Equal(padded, bare);
            }
        }

        // Longer than what fits onto the stack.
        var big = new OrcaLoadReport { CpuUtilization = 0.5 };
        for (var i = 0; i < 40; i++)
        {
            big.NamedMetrics[$"metric-{i}"] = i;
        }

        Assert.True(LoadReportReader.TryReadBase64(Convert.ToBase64String(big.ToByteArray()), ["named_metrics.metric-39"], out var read));
        Assert.Equal(39, read.Utilization);
    }

    [Theory]
    [InlineData("TEXT cpu_utilization=0.3, mem_utilization=0.8, rps_fractional=10.0, eps=1, named_metrics.queue=0.4", 0.4)]
    [InlineData("TEXT cpu_utilization=0.3,rps_fractional=10,eps=1,", 0.3)]
    [InlineData("""JSON {"cpu_utilization": 0.3, "rps_fractional": 10.0, "eps": 1, "named_metrics": {"queue": 0.4, "other": 9}}""", 0.4)]
    [InlineData("""JSON {"application_utilization": 0.9, "cpu_utilization": 0.3, "rps_fractional": 10.0, "eps": 1}""", 0.9)]
    public void ReadHeader_TextAndJson_AreRead(string value, double utilization)
    {
        Assert.True(LoadReportReader.TryReadHeader(value, ["named_metrics.queue"], out var report));
        Assert.Equal(new LoadReport(utilization, 10, 1), report);
    }

    [Fact]
    public void ReadHeader_Binary_IsRead()
    {
        Assert.True(LoadReportReader.TryReadHeader("BIN " + Convert.ToBase64String(_full.ToByteArray()), [], out var report));
        Assert.Equal(0.75, report.Utilization);
    }

    [Theory]
    [InlineData("")]
    [InlineData("TEXT cpu_utilization")]
    [InlineData("TEXT cpu_utilization=much")]
    [InlineData("TEXT =1")]
    [InlineData("JSON {")]
    [InlineData("JSON []")]
    [InlineData("""JSON {"cpu_utilization": "0.3"}""")]
    [InlineData("BIN !!!!")]
    [InlineData("YAML cpu: 1")]
    [InlineData("cpu_utilization=0.3")]
    public void ReadHeader_Broken_IsFalse(string value) => Assert.False(LoadReportReader.TryReadHeader(value, [], out _));

    [Theory]
    [InlineData("NaN")]
    [InlineData("-1")]
    [InlineData("Infinity")]
    public void Read_ImpossibleValues_AreLeftOut(string value)
    {
        Assert.True(LoadReportReader.TryReadHeader($"TEXT cpu_utilization=0.5, application_utilization={value}, eps={value}", [], out var report));
        Assert.Equal(new LoadReport(0.5, 0, 0), report);
        var number = double.Parse(value, CultureInfo.InvariantCulture);
        Assert.Equal(0.5, Read(new OrcaLoadReport { CpuUtilization = 0.5, ApplicationUtilization = number, RpsFractional = number }).Utilization);
    }

    [Fact]
    public void Property_AnyReport_IsReadAsItWasWritten() => Gen.Select(Gen.Double[0, 10], Gen.Double[0, 10], Gen.Double[0, 1e6], Gen.Double[0, 1e6], Gen.String, Gen.Double[0, 10])
        .Sample((application, cpu, queries, errors, name, named) =>
        {
            if (name.Length > 80 || name.Any(char.IsSurrogate))
            {
                return;
            }

            var written = new OrcaLoadReport { ApplicationUtilization = application, CpuUtilization = cpu, RpsFractional = queries, Eps = errors, NamedMetrics = { [name] = named } };
            var expected = application > 0 ? application : named > 0 && name.Length > 0 ? named : cpu;
            Assert.Equal(new LoadReport(expected, queries, errors), Read(written, "named_metrics." + name));
        });

    [Fact]
    public void Property_AnyBytes_EndWell() => Gen.Byte.Array.Sample(bytes =>
    {
        LoadReportReader.TryRead(bytes, ["named_metrics.a"], out _);
        // Cut and spoilt real ones reach deeper.
        var real = _full.ToByteArray();
        var cut = real.AsSpan(0, bytes.Length == 0 ? 0 : bytes[0] % real.Length);
        LoadReportReader.TryRead(cut, ["named_metrics.queue"], out _);
        for (var i = 0; i + 1 < bytes.Length; i += 2)
        {
            real[bytes[i] % real.Length] = bytes[i + 1];
        }

        LoadReportReader.TryRead(real, ["named_metrics.queue"], out _);
        LoadReportReader.TryReadBase64(Convert.ToBase64String(real), ["named_metrics.queue"], out _);
    });

    [Fact]
    public void ReadBase64_WithNames_AllocatesNothing()
    {
        var text = Convert.ToBase64String(_full.ToByteArray());
        string[] names = ["named_metrics.queue", "utilization.disk"];
        Read(100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Read(100);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Read(int times)
        {
            for (var i = 0; i < times; i++)
            {
                LoadReportReader.TryReadBase64(text, names, out _);
            }
        }
    }

    private static LoadReport Read(OrcaLoadReport report, params string[] names)
    {
        Assert.True(LoadReportReader.TryRead(report.ToByteArray(), names, out var read));
        return read;
    }
}
