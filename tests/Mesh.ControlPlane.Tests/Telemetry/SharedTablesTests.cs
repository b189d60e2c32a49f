using Mesh.ControlPlane.Telemetry;
using Mesh.Spiffe;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

/// <summary>What all identities share is full of one's entries: it gives up places to who comes late, and no more than that.</summary>
public sealed class SharedTablesTests
{
    private static readonly SpiffeId Evil = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/evil");
    private static readonly SpiffeId Cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Balancers_FullOfOnes_ShowAnothers()
    {
        var table = new BalancerTable();
        // Under any name of its own namespace.
        for (var i = 0; i < BalancerTable.MaxEntries + 10; i++)
        {
            Tell(Evil, $"w{i % 100}", $"10.0.{i / 250}.{i % 250}:80");
        }

        Assert.Equal(BalancerTable.MaxEntries, table.All(Now).Count);
        for (var again = 0; again < 2; again++)
        {
            Tell(Cart, "cart", "10.1.0.1:80");
            Tell(Cart, "cart", "10.1.0.2:80");
            Tell(Evil, "w", $"10.2.0.{again}:80");
        }

        Assert.Equal(BalancerTable.MaxEntries, table.All(Now).Count);
        Assert.Equal(["10.1.0.1:80", "10.1.0.2:80"], table.Of("pricing", "shop", Now).Where(b => b.Source == "cart").Select(b => b.Endpoint));

        // What nobody tells again makes room for all.
        var later = Now + BalancerTable.Fresh + TimeSpan.FromSeconds(1);
        Tell(Evil, "w", "10.2.0.9:80", later);
        Assert.Equal("10.2.0.9:80", Assert.Single(table.All(later)).State.Endpoint);

        void Tell(SpiffeId peer, string source, string endpoint, DateTimeOffset? at = null) =>
            table.Set(peer, new BalancerKey(source, "shop", $"{source}~1", "pricing", "shop", endpoint), BalancerGauge.State, 1, "ready", null, at ?? Now);
    }

    [Fact]
    public void OpenConnections_FullOfOnes_CountAnothers()
    {
        var table = new OpenConnections();
        for (var i = 0; i < OpenConnections.MaxEntries + 10; i++)
        {
            Tell(Evil, i % 3, $"to{i}", 1);
        }

        Assert.Equal(OpenConnections.MaxEntries, table.All(Now).Count);
        Tell(Cart, 0, "pricing", 2);
        Tell(Cart, 0, "pricing", 3);
        Tell(Cart, 1, "pricing", 4);
        Tell(Evil, 0, "more", 1);

        Assert.Equal(OpenConnections.MaxEntries, table.All(Now).Count);
        Assert.Equal([4, 5], Open("pricing"));
        Assert.Empty(Open("more"));

        // Its next round tells nothing of them: the places are free, also for the others.
        for (var i = 0; i < 3; i++)
        {
            table.Heard(Of(Evil, i), 2, Now);
        }

        Tell(Evil, 0, "more", 1, round: 2);
        Assert.Equal(3, table.All(Now).Count);
        table.Forget(Of(Cart, 0));
        Assert.Equal([4], Open("pricing"));

        IEnumerable<long> Open(string to) => table.All(Now).Where(o => o.Key.Destination == to).Select(o => o.Open).Order();

        void Tell(SpiffeId peer, int process, string to, long open, ulong round = 1) =>
            table.Set(Of(peer, process), round, new SeriesKey(SeriesKind.ClientConnection, peer.ServiceAccount!, "shop", to, "shop"), open, Now);
    }

    private static ReportingInstance Of(SpiffeId peer, int process) => new(peer.ToString(), $"{process}");
}
