using System.Text.Json;
using Mesh.ControlPlane.Telemetry;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

/// <summary>What is answered from slots that were summed up before is what every count of them says.</summary>
public sealed class SlotFoldTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly SeriesKind[] _kinds = [.. Enum.GetValues<SeriesKind>()];
    private readonly FakeTimeProvider _time = new(Noon);

    /// <summary>Late reports, slots that are summed up and dropped, series that make room for others, and a file that loses some: after each the same questions, answered both ways.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void AnyQuestion_AtAnyTime_IsAnsweredAsFromAllCounts(int seed)
    {
        var random = new Random(seed);
        using var file = new LosingSlots();
        using var store = new GoldenStore(_time, file, GoldenLimits.Default with { MaxSeries = 80, MaxBytes = 300_000 });
        for (var step = 0; step < 1_000; step++)
        {
            _time.Advance(TimeSpan.FromSeconds(random.Next(1, 20)));
            for (var i = random.Next(12); i > 0; i--)
            {
                var durations = new BucketCounts();
                durations.Add(random.Next(-120, 40), random.Next(1, 9));
                store.Add(
                    Key(random, step / 250), Measure.Of(durations, (CallOutcome)random.Next(3), random.Next(2) == 0), TimeSpan.FromSeconds(random.Next(10) == 0 ? random.Next(900) : random.Next(12)));
            }

            if (random.Next(200) == 0)
            {
                store.AddReporter(new Caller($"c{random.Next(5)}", "shop"));
            }

            if (random.Next(3) == 0)
            {
                store.Flush();
            }

            if (random.Next(100) == 0)
            {
                file.Lose(Slots.Of(_time.GetUtcNow()) - random.Next(40));
            }

            if (step % 5 == 0)
            {
                AssertSame(store, random, $"seed {seed}, step {step}");
            }
        }

        Assert.True(store.Dropped > 0 || store.Fill.Series == 80, "No series made room for another.");
    }

    [Fact]
    public void RefreshesOfAnHour_ReadEachSlotOnce()
    {
        using var file = new LosingSlots();
        using var store = new GoldenStore(_time, file, GoldenLimits.Default);
        var durations = new BucketCounts();
        durations.Add(-64, 10);
        void Pass()
        {
            _time.Advance(Slots.Fine);
            store.Add(new SeriesKey(SeriesKind.Call, "cart", "shop", "pricing", "shop"), Measure.Of(durations), Slots.Fine);
            store.Flush();
        }

        for (var i = 0; i < 500; i++)
        {
            Pass();
        }

        long Requests() => Assert.Single(GoldenMerge.Items(Hour(), null, [store.Read(Hour(), step: null, out _)])).Numbers.Requests;
        Assert.Equal(3_600, Requests());
        file.Asked = 0;
        Assert.Equal(3_600, Requests());
        Assert.Equal(0, file.Asked);
        for (var i = 0; i < 60; i++)
        {
            Pass();
            file.Asked = 0;
            Assert.Equal(3_600, Requests());
            // What was written since the last refresh; and every 5 min a block of sums comes in at one end, and one is taken apart at the other.
            Assert.InRange(file.Asked, 1, 2 + Slots.PerCoarse);
        }

        GoldenQuery Hour() => new(GoldenBy.Service, _time.GetUtcNow() - TimeSpan.FromHours(1), _time.GetUtcNow());
    }

    [Fact]
    public void Keep_MoreThanFits_LetsTheOldestGo()
    {
        var fold = new SlotFold(GoldenBy.Service, new SeriesTable(10), maxBytes: 10_000);
        for (var slot = 0; slot < 1_000; slot++)
        {
            fold.Keep(SlotTier.Fine, slot, new FoldedSlot(new byte[100], [1, 2]));
            Assert.InRange(fold.Bytes, 1, 10_000);
        }

        Assert.Null(fold.Find(SlotTier.Fine, 900));
        Assert.NotNull(fold.Find(SlotTier.Fine, 999));
        Assert.Same(fold.Find(SlotTier.Fine, 998)!.Series, fold.Find(SlotTier.Fine, 999)!.Series);
    }

    private void AssertSame(GoldenStore store, Random random, string when)
    {
        var now = _time.GetUtcNow();
        foreach (var by in new[] { GoldenBy.Service, GoldenBy.Backend, GoldenBy.Pair, GoldenBy.Workload })
        {
            var to = now - TimeSpan.FromSeconds(random.Next(3) == 0 ? random.Next(7_000) : 0);
            var query = new GoldenQuery(by, to - TimeSpan.FromSeconds(random.Next(1, 5_000)), to)
            {
                View = (GoldenView)random.Next(3),
                Destination = random.Next(4) == 0 ? "s1" : null,
                Source = random.Next(4) == 0 ? "c1" : null,
                Namespace = random.Next(6) == 0 ? "shop" : null,
                Backend = random.Next(4) == 0 ? "v1" : null,
            };
            TimeSpan? step = random.Next(2) == 0 ? null : TimeSpan.FromSeconds(new[] { 10, 30, 300, 600 }[random.Next(4)]);
            var plan = store.Plan(query.From, query.To, step);
            var (full, folded) = (Text(query, plan, store.ReadInFull(query, plan)), Text(query, plan, store.Read(query, plan)));
            Assert.True(full == folded, $"{when}: {query}, step {step}:\n{full}\n{folded}");
        }
    }

    private static string Text(GoldenQuery query, GoldenPlan plan, GoldenPart part) =>
        JsonSerializer.Serialize(plan.StepSlots is null ? (object)GoldenMerge.Items(query, plan, [part]) : GoldenMerge.Series(query, plan, [part]));

    private static SeriesKey Key(Random random, int age) => new(_kinds[random.Next(_kinds.Length)], random.Next(9) == 0 ? "" : $"c{random.Next(3)}", "shop", random.Next(9) == 0 ? "" : $"s{random.Next(3)}", "shop")
    {
        Route = random.Next(2) == 0 ? "" : $"r{age}",
        Backend = random.Next(2) == 0 ? "" : $"v{random.Next(2)}",
        BackendNamespace = "shop",
        Endpoint = random.Next(2) == 0 ? "" : $"10.0.0.{random.Next(3)}:80",
    };

    /// <summary>Memory that can lose a slot, and counts what is read.</summary>
    private sealed class LosingSlots : ISlotFile
    {
        private readonly MemorySlots _slots = new();
        private readonly HashSet<long> _lost = [];

        /// <summary>Slots that were asked for.</summary>
        public long Asked { get; set; }

        public string Kind => _slots.Kind;

        public long Bytes => _slots.Bytes;

        public long Losses { get; private set; }

        public void Lose(long slot)
        {
            _lost.Add(slot);
            Losses++;
        }

        public SavedState Load() => _slots.Load();

        public void Write(SlotBatch batch) => _slots.Write(batch);

        public IEnumerable<SlotPart> Read(SlotTier tier, long from, long to)
        {
            Asked += to - from;
            return _slots.Read(tier, from, to).Where(p => tier == SlotTier.Coarse || !_lost.Contains(p.Slot));
        }

        public long? Oldest(SlotTier tier) => _slots.Oldest(tier);

        public void Drop(SlotTier tier, long before) => _slots.Drop(tier, before);

        public void Dispose() => _slots.Dispose();
    }
}
