using Mesh.ControlPlane.Telemetry;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

public sealed class DiskSlotsTests : IDisposable
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly FakeTimeProvider _time = new(Noon);
    private readonly FakeLogger _logger = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-golden-").FullName;

    private string File => Path.Combine(_folder, DiskSlots.FileName);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Restart_KeepsHistory_SeriesReportersAndGaps()
    {
        using (var first = Open())
        {
            first.Store.AddReporter(new Caller("cart", "shop"));
            first.Store.Gaps.Add(new MissingTime(Noon, Noon + TimeSpan.FromSeconds(5), "cart@shop", "killed"));
            for (var i = 0; i < 200; i++)
            {
                _time.Advance(Slots.Fine);
                Count(first, 10, CallOutcome.Good);
                Count(first, 1, CallOutcome.Bad);
                first.Store.Flush();
            }

            Count(first, 100, CallOutcome.Good);
        }

        _time.Advance(TimeSpan.FromSeconds(30));
        using var second = Open();
        var answer = second.Answer(GoldenBy.Pair, TimeSpan.FromHours(1));
        var numbers = Assert.Single(answer.Items).Numbers;
        Assert.Equal((2_300L, 200L, "disk"), (numbers.Requests, numbers.Failures, answer.Store));
        Assert.Equal(1000 * Math.Pow(2, -63.5 / 16), numbers.P50Ms, 0.1);
        Assert.Equal(Noon, answer.ReachesBackTo);
        Assert.Equal("killed", Assert.Single(answer.Gaps).Why);
        Assert.Contains(new Caller("cart", "shop"), second.Store.Read(new GoldenQuery(GoldenBy.Pair, GoldenQuery.Start, Noon), null, out _).Reporters);

        // The same key is the same series.
        Count(second, 7, CallOutcome.Good);
        Assert.Equal(2_307, Assert.Single(second.Items(GoldenBy.Pair, TimeSpan.FromHours(1))).Numbers.Requests);
        Assert.Equal(7, Assert.Single(second.Pairs(null)).Requests);
        Assert.Empty(_logger.Collector.GetSnapshot());
    }

    [Fact]
    public void ProcessThatWasKilled_LosesWhatWasNotFlushed_AndThatIsAGap()
    {
        var first = Open();
        Count(first, 50, CallOutcome.Good);
        first.Store.Flush();
        var flushed = _time.GetUtcNow();
        _time.Advance(TimeSpan.FromSeconds(3));
        Count(first, 9, CallOutcome.Good);

        // What a kill leaves behind: the files as they are, no word more.
        var copy = Directory.CreateTempSubdirectory("mesh-golden-").FullName;
        try
        {
            foreach (var suffix in new[] { string.Empty, "-wal" })
            {
                System.IO.File.Copy(File + suffix, Path.Combine(copy, DiskSlots.FileName + suffix));
            }

            first.Dispose();
            _time.Advance(TimeSpan.FromSeconds(60));
            using var second = Open(copy);
            var answer = second.Answer(GoldenBy.Pair, TimeSpan.FromMinutes(10));
            Assert.Equal(50, Assert.Single(answer.Items).Numbers.Requests);
            var gap = Assert.Single(answer.Gaps);
            Assert.Equal(("control plane", flushed, flushed + Slots.Fine), (gap.Who, gap.From, gap.To));
        }
        finally
        {
            first.Dispose();
            Directory.Delete(copy, recursive: true);
        }
    }

    [Theory]
    [InlineData("this is no database, whatever its name says; it only has enough bytes to be looked at for longer than a header. ")]
    [InlineData("")]
    public void FileThatIsNotOurs_IsMovedAside_AndANewOneBegins(string content)
    {
        if (content.Length > 0)
        {
            System.IO.File.WriteAllText(File, string.Concat(Enumerable.Repeat(content, 100)));
        }
        else
        {
            using var foreign = new SqliteConnection($"Data Source={File};Pooling=False");
            SQLitePCL.Batteries_V2.Init();
            foreign.Open();
            using var command = foreign.CreateCommand();
            command.CommandText = "CREATE TABLE other(a)";
            command.ExecuteNonQuery();
        }

        using var bench = Open();
        Count(bench, 3, CallOutcome.Good);
        bench.Store.Flush();

        Assert.Equal("disk", bench.Store.Fill.Kind);
        Assert.Equal(3, Assert.Single(bench.Items(GoldenBy.Pair, TimeSpan.FromMinutes(1))).Numbers.Requests);
        Assert.NotEmpty(Directory.GetFiles(_folder, DiskSlots.FileName + ".aside-*"));
        var warning = Assert.Single(_logger.Collector.GetSnapshot());
        Assert.Equal((LogLevel.Warning, "MovedAside"), (warning.Level, warning.Id.Name));
    }

    [Fact]
    public void DamagedPages_AreFoundAtTheStart()
    {
        using (var first = Open())
        {
            for (var i = 0; i < 400; i++)
            {
                _time.Advance(Slots.Fine);
                Count(first, 1 + i, CallOutcome.Good);
                first.Store.Flush();
            }
        }

        using (var file = System.IO.File.OpenWrite(File))
        {
            file.Position = 4096;
            file.Write(new byte[16 * 1024]);
        }

        using var second = Open();
        Assert.Empty(second.Items(GoldenBy.Pair, TimeSpan.FromHours(2)));
        Assert.Equal("MovedAside", Assert.Single(_logger.Collector.GetSnapshot()).Id.Name);
    }

    [Fact]
    public void SecondProcess_SaysSoAndUsesMemory()
    {
        using var first = Open();
        using var second = Open();

        Assert.Equal(("disk", "memory"), (first.Store.Fill.Kind, second.Store.Fill.Kind));
        Assert.Equal("NotOurs", Assert.Single(_logger.Collector.GetSnapshot()).Id.Name);
    }

    [Fact]
    public void FullDisk_IsWaitedForInMemory_AndNothingIsLost()
    {
        using var bench = Open();
        Count(bench, 5, CallOutcome.Good);
        bench.Store.Flush();

        // Another connection that writes is as good as a disk that takes nothing.
        using (var other = new SqliteConnection($"Data Source={File};Pooling=False"))
        {
            other.Open();
            using var command = other.CreateCommand();
            command.CommandText = "BEGIN EXCLUSIVE";
            command.ExecuteNonQuery();
            Count(bench, 6, CallOutcome.Good);
            bench.Store.Flush();
            Assert.Equal("memory", bench.Store.Fill.Kind);
            Assert.Equal(11, Assert.Single(bench.Items(GoldenBy.Pair, TimeSpan.FromMinutes(1))).Numbers.Requests);
            Assert.Contains(_logger.Collector.GetSnapshot(), l => l.Id.Name == "NotWritten");
        }

        Count(bench, 7, CallOutcome.Good);
        bench.Store.Flush();
        Assert.Equal("disk", bench.Store.Fill.Kind);
        Assert.Equal(18, Assert.Single(bench.Items(GoldenBy.Pair, TimeSpan.FromMinutes(1))).Numbers.Requests);
        Assert.Contains(_logger.Collector.GetSnapshot(), l => l.Id.Name == "WritesAgain");
    }

    /// <summary>An hour of 10 workloads with 500 series each: what it takes is bounded, on disk and in memory, and no count is lost.</summary>
    [Fact]
    public void HourOfManySeries_StaysWithinItsBounds()
    {
        const long MaxBytes = 24L << 20;
        using var bench = Open(limits: new GoldenLimits(20_000, MaxBytes));
        long afterTenMinutes = 0;
        for (var i = 1; i <= 360; i++)
        {
            _time.Advance(Slots.Fine);
            for (var s = 0; s < 5_000; s++)
            {
                var durations = new BucketCounts();
                durations.Add(-100 + (s % 60), 2);
                durations.Add(-90 + (i % 30), 1);
                bench.Store.Add(new SeriesKey(SeriesKind.Call, $"w{s / 500}", "shop", $"s{s % 500}", "shop"), Measure.Of(durations), Slots.Fine);
            }

            bench.Store.Flush();
            Assert.InRange(bench.Store.Fill.Bytes, 0, MaxBytes);
            if (i == 60)
            {
                afterTenMinutes = GC.GetTotalMemory(forceFullCollection: true);
            }
        }

        // Other tests run beside this one; what was not let go would be hundreds of megabytes.
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - afterTenMinutes, long.MinValue, 96L << 20);
        Assert.InRange(new FileInfo(File).Length, 0, MaxBytes + (4L << 20));
        Assert.Equal((5_000, 0, 0L), (bench.Store.Fill.Series, bench.Store.Fill.OverflowedSeries, bench.Store.Dropped));
        Assert.Equal(3 * 5_000 * 6, bench.Items(GoldenBy.Pair, TimeSpan.FromSeconds(60)).Sum(i => i.Numbers.Requests));
    }

    private GoldenBench Open(string? folder = null, GoldenLimits? limits = null) => new(_time, DiskSlots.Open(folder ?? _folder, _time, _logger), limits);

    private static void Count(GoldenBench bench, int count, CallOutcome outcome)
    {
        var durations = new BucketCounts();
        durations.Add(-64, count);
        bench.Store.Add(new SeriesKey(SeriesKind.Call, "cart", "shop", "pricing", "shop"), Measure.Of(durations, outcome));
    }
}
