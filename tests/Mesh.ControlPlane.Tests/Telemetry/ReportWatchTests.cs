using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.Export;
using Mesh.Spiffe;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

public sealed class ReportWatchTests : IDisposable
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly Reporter Cart = new(SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart"), "cart", "cart~1~shop", null);
    private readonly FakeTimeProvider _time = new(Noon);
    private readonly GoldenBench _bench;
    private readonly Stopping _stopping = new();
    private readonly ReportWatch _watch;

    public ReportWatchTests()
    {
        _bench = new GoldenBench(_time);
        _watch = new ReportWatch(_bench.Store, _stopping, _time);
    }

    private IReadOnlyList<MissingTime> Gaps => _bench.Store.Gaps.Between(Noon, Noon + TimeSpan.FromHours(1));

    public void Dispose()
    {
        _bench.Dispose();
        _stopping.Dispose();
    }

    [Fact]
    public void EndWithoutLastReport_IsAGap_FromTheReportBefore()
    {
        using var connection = new CancellationTokenSource();
        _watch.Heard(Cart, Note("a", connection));
        _bench.Store.Open.Set(new ReportingInstance(Cart.Peer.ToString(), Cart.Instance), 1, new SeriesKey(SeriesKind.ClientConnection, "cart", "shop", "ledger", "shop"), 2, Noon);
        Assert.Single(_bench.Store.Open.All(Noon));
        _time.Advance(TimeSpan.FromSeconds(4));
        connection.Cancel();

        // Whoever died holds nothing open any more.
        Assert.Empty(_bench.Store.Open.All(_time.GetUtcNow()));
        var gap = Assert.Single(Gaps);
        Assert.Equal(("cart@shop", Noon, Noon + TimeSpan.FromSeconds(4)), (gap.Who, gap.From, gap.To));

        // A new process knows nothing of what the one before it counted.
        using var next = new CancellationTokenSource();
        _watch.Heard(Cart, Note("b", next));
        Assert.Single(Gaps);
    }

    [Fact]
    public void EndWithLastReport_IsNone()
    {
        using var connection = new CancellationTokenSource();
        _watch.Heard(Cart, Note("a", connection));
        _watch.Heard(Cart, Note("a", connection, isLast: true));
        connection.Cancel();
        Assert.Empty(Gaps);
    }

    [Fact]
    public void ConnectionThatBroke_AndCameAgain_IsNone()
    {
        using var connection = new CancellationTokenSource();
        _watch.Heard(Cart, Note("a", connection));
        connection.Cancel();
        Assert.Single(Gaps);

        using var next = new CancellationTokenSource();
        _watch.Heard(Cart, Note("a", next));
        Assert.Empty(Gaps);

        // The one before may end after the one that takes its place.
        using var third = new CancellationTokenSource();
        _watch.Heard(Cart, Note("a", third));
        next.Cancel();
        Assert.Empty(Gaps);
    }

    [Fact]
    public void ConnectionsThatThisProcessEnds_AreNone()
    {
        using var connection = new CancellationTokenSource();
        _watch.Heard(Cart, Note("a", connection));
        _stopping.Begin();
        connection.Cancel();
        Assert.Empty(Gaps);
    }

    [Theory]
    [InlineData("900.300", 900, 300)]
    [InlineData("300.900", null, null)]
    [InlineData("x.1", null, null)]
    [InlineData("99999999.1", null, null)]
    public void DroppedMeasurements_AreAGap(string header, int? from, int? to)
    {
        _time.Advance(TimeSpan.FromMinutes(30));
        _watch.Heard(Cart, ReportNote.Of(h => h == ReportHeaders.Run ? "a" : h == ReportHeaders.Dropped ? header : null, CancellationToken.None));

        Assert.Equal(from is null ? [] : [(_time.GetUtcNow() - TimeSpan.FromSeconds(from.Value), _time.GetUtcNow() - TimeSpan.FromSeconds(to!.Value))], Gaps.Select(g => (g.From, g.To)));
    }

    private static ReportNote Note(string run, CancellationTokenSource connection, bool isLast = false) => new(run, 0, isLast, null, null, connection.Token);
}
