using Mesh.ControlPlane.Telemetry;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

public sealed class TraceStoreTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Add_SpansOfManyWorkloadsInAnyOrder_AreOneTrace()
    {
        var store = new TraceStore();
        store.Add([Span("t1", "c", "b", "server", workload: "pricing", after: 2)]);
        store.Add([Span("t1", "b", "a", "client", after: 1)]);
        store.Add([Span("t1", "a", null, "server", name: "GET /x", ms: 12)]);

        var line = Assert.Single(store.List(All));
        Assert.Equal(("t1", "GET /x", "cart", 12.0, 3, false), (line.TraceId, line.Root, line.Workload, line.DurationMs, line.Spans, line.Failed));
        Assert.Equal(["cart", "pricing"], line.Services);
        Assert.Equal(["a", "b", "c"], store.Find("t1")!.Select(s => s.SpanId));
        Assert.Null(store.Find("t2"));
    }

    [Fact]
    public void Add_SameSpanAgain_TakesItsPlace()
    {
        var store = new TraceStore();
        store.Add([Span("t1", "a", null, "server"), Span("t1", "a", null, "server", ms: 9)]);
        var bytes = store.Counts.Bytes;
        store.Add([Span("t1", "a", null, "server", ms: 9)]);

        Assert.Equal(9.0, Assert.Single(store.List(All)).DurationMs);
        Assert.Equal(bytes, store.Counts.Bytes);
    }

    [Fact]
    public void List_Filters_LeaveOnlyWhatWasAskedFor()
    {
        var store = new TraceStore();
        store.Add([Span("ok", "a", null, "server"), Span("bad", "b", null, "server", failed: true, after: 1), Span("slow", "c", null, "server", ms: 800, after: 2)]);
        store.Add([Span("made-good", "d", null, "client", after: 3, host: "pricing.shop"), Span("made-good", "e", "d", "internal", failed: true, after: 3), Span("other", "f", null, "server", workload: "job", ns: "batch", after: 4)]);

        Assert.Equal(["other", "made-good", "slow", "bad", "ok"], Ids(All));
        Assert.Equal(["bad"], Ids(All with { FailedOnly = true }));
        Assert.Equal(["slow"], Ids(All with { MinDuration = TimeSpan.FromMilliseconds(100) }));
        Assert.Equal(["other"], Ids(All with { Service = "job" }));
        Assert.Equal(["made-good"], Ids(All with { Service = "pricing" }));
        Assert.Equal(["other"], Ids(All with { Namespace = "batch" }));
        Assert.Equal(["other", "made-good"], Ids(All with { Limit = 2 }));

        IEnumerable<string> Ids(TraceQuery query) => store.List(query).Select(t => t.TraceId);
    }

    [Theory]
    [InlineData("cart", null, "called", "served")]
    [InlineData(null, "pricing", "called", "served")]
    [InlineData("cart", "pricing", "called", "served")]
    [InlineData("pricing", "cart")]
    [InlineData("cart", "stock")]
    [InlineData("web", "cart", "served")]
    [InlineData("pricing", null)]
    [InlineData(null, "pric")]
    public void List_OfOneCall_NamesBothItsEnds(string? source, string? destination, params string[] expected)
    {
        var store = new TraceStore();
        // Its callers' spans are elsewhere: what the servers verified is here.
        store.Add([Span("served", "a", null, "server", workload: "pricing", peer: "spiffe://mesh/ns/shop/sa/cart"), Span("served", "b", null, "server", peer: "spiffe://mesh/ns/shop/sa/web")]);
        store.Add([Span("called", "c", null, "client", host: "pricing.shop"), Span("called", "d", null, "internal", workload: "stock", host: "stock")]);

        Assert.Equal(expected, store.List(All with { Source = source, Destination = destination }).Select(t => t.TraceId).Order());
    }

    [Fact]
    public void List_OfWorkloads_TakesTheNamespaceWithTheName()
    {
        var store = new TraceStore();
        store.Add([Span("t1", "a", null, "server"), Span("t2", "b", null, "server", ns: "other", after: 1)]);

        Assert.Equal("t1", Assert.Single(store.List(All with { Workloads = new HashSet<(string, string)> { ("shop", "cart"), ("shop", "none") } })).TraceId);
        Assert.Empty(store.List(All with { Workloads = new HashSet<(string, string)>() }));
    }

    [Fact]
    public void Choose_PartsOfTwoReplicas_JoinsWhatEachKnows()
    {
        var query = All with { Source = "cart", Destination = "pricing", Workloads = new HashSet<(string, string)> { ("shop", "web") } };
        var (one, other) = (new TraceStore(), new TraceStore());
        one.Add([Span("t", "a", null, "client", host: "pricing"), Span("u", "d", null, "client", host: "pricing")]);
        other.Add([Span("t", "b", "a", "server", workload: "web")]);

        Assert.Equal("t", Assert.Single(query.Choose(one.Known(query).Concat(other.Known(query)))).Id);
        Assert.Empty(query.Choose(one.Known(query)));
    }

    [Fact]
    public void Messages_Question_ComesBackAsItWas()
    {
        var query = TraceMessages.QueryOf(Mesh.Protos.Telemetry.TracesQuery.Parser.ParseFrom(Google.Protobuf.MessageExtensions.ToByteArray(
            TraceMessages.Of(All with { Source = "cart", Destination = "pricing", Workloads = new HashSet<(string, string)> { ("shop", "web") } }))));

        Assert.Equal(("cart", "pricing", ("shop", "web")), (query.Source, query.Destination, Assert.Single(query.Workloads!)));
        Assert.Null(TraceMessages.QueryOf(TraceMessages.Of(All)).Workloads);
        Assert.Empty(TraceMessages.QueryOf(TraceMessages.Of(All with { Workloads = new HashSet<(string, string)>() })).Workloads!);
        Assert.Equal((true, true), TraceMessages.Of(null, [new KnownTrace("t", Start, TimeSpan.Zero, false, false, false, false, true, true)]).Traces.Select(TraceMessages.Read).Select(t => (t.OfCall, t.OfWorkloads)).Single());
    }

    [Fact]
    public void Add_MoreThanFits_DropsOrdinaryTracesFirst()
    {
        var store = new TraceStore(maxBytes: 60_000);
        store.Add([Span("failed", "a", null, "server", failed: true), Span("slow", "b", null, "server", ms: 900)]);
        for (var i = 0; i < 500; i++)
        {
            store.Add([Span($"t{i}", "a", null, "server", after: i + 1)]);
        }

        Assert.True(store.Counts.Bytes <= 60_000);
        Assert.NotNull(store.Find("failed"));
        Assert.NotNull(store.Find("slow"));
        Assert.Null(store.Find("t0"));
        Assert.NotNull(store.Find("t499"));
        Assert.Equal(Start, store.ReachesBackTo);
    }

    [Fact]
    public void Add_OutageOfFailures_LeavesSomethingToCompareWith()
    {
        var store = new TraceStore(maxBytes: 60_000);
        for (var i = 0; i < 1000; i++)
        {
            store.Add([Span($"bad{i}", "a", null, "server", failed: true, after: i), Span($"good{i}", "a", null, "server", after: i), Span($"slow{i}", "a", null, "server", ms: 600, after: i)]);
        }

        var kept = store.List(All with { Limit = 1000 });
        Assert.InRange(kept.Count(t => t.Failed), kept.Count / 3, kept.Count * 2 / 3);
        Assert.InRange(kept.Count(t => !t.Failed && t.DurationMs < 500), kept.Count / 6, kept.Count / 2);
        Assert.NotNull(store.Find("bad999"));
        Assert.NotNull(store.Find("good999"));
        Assert.Null(store.Find("bad0"));
    }

    [Fact]
    public void Add_EndlessTrace_IsBounded()
    {
        var store = new TraceStore();
        store.Add(Enumerable.Range(0, Trace.MaxSpans + 7).Select(i => Span("t", $"s{i}", null, "internal")));

        Assert.Equal(Trace.MaxSpans, Assert.Single(store.List(All)).Spans);
        Assert.Equal((Trace.MaxSpans + 7, 7L), (store.Counts.Taken, store.Counts.Dropped));
    }

    private static TraceQuery All => new(null, null, TimeSpan.Zero, false, 100);

    private static StoredSpan Span(
        string trace, string id, string? parent, string kind, string workload = "cart", string ns = "shop", string name = "GET", double ms = 5, bool failed = false, int after = 0, string? host = null, string? peer = null) => new(
        trace, id, parent, name, kind, workload, ns, Start.AddMilliseconds(after), TimeSpan.FromMilliseconds(ms), failed,
        new[] { ("server.address", host), ("mesh.peer", peer) }.Where(a => a.Item2 is not null).ToDictionary(a => a.Item1, a => (object)a.Item2!), []);
}
