using System.Collections.Frozen;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Mesh.Core.Tests.Identity;

public sealed class LiveConnectionsTests : IDisposable
{
    private readonly JumpingTime _time = new(TimeProvider.System.GetUtcNow());
    private readonly TestCa _ca;
    private readonly FixedIdentitySource _identity;
    private readonly LiveConnections _live;

    public LiveConnectionsTests()
    {
        _ca = new TestCa("cluster.local", _time);
        _identity = new FixedIdentitySource(_ca.Identity("shop", "cart", TimeSpan.FromHours(1)));
        _live = new LiveConnections(_identity, _time, new Random(1), NullLogger<LiveConnections>.Instance);
    }

    public void Dispose()
    {
        _live.Dispose();
        _ca.Dispose();
    }

    [Fact]
    public void Trust_Narrows_ClosesOnlyWhomItIsAbout()
    {
        using var other = new TestCa("cluster.local", _time);
        var all = new[] { Add("web"), Add("catalog", serials: ["1f", "2f"]), Add("pay", root: other.Root.Thumbprint), Add("front") };

        _identity.Replace(_identity.Current.With(_ca.Bundle with { Roots = [_ca.Root, other.Root] }));
        Assert.All(all, c => Assert.Null(c.Reason));
        _identity.Replace(_identity.Current.With(_ca.Bundle with { RevokedIds = FrozenSet.Create(Id("web")), RevokedSerials = FrozenSet.Create("2f") }));

        Assert.Equal([PeerRefusals.RevokedId, PeerRefusals.RevokedSerial, PeerRefusals.RootDropped, null], all.Select(c => c.Reason));
        Assert.Equal([1, 1, 1, 0], all.Select(c => c.Closes));
        Assert.DoesNotContain(all, c => c.Drains > 0);
    }

    [Fact]
    public void Connection_MadeUnderOlderTrust_IsJudgedWhenItIsAdded()
    {
        var before = _identity.Current;
        _identity.Replace(before.With(_ca.Bundle with { RevokedIds = FrozenSet.Create(Id("web")) }));

        Assert.Equal(PeerRefusals.RevokedId, Add("web", under: before).Reason);
    }

    [Fact]
    public void PeersCertificate_Ends_ClosesThen()
    {
        var (soon, later) = (Add("web", life: TimeSpan.FromMinutes(10)), Add("web", life: TimeSpan.FromMinutes(30)));

        _time.Advance(TimeSpan.FromMinutes(9.9));
        Assert.Null(soon.Reason);
        _time.Advance(TimeSpan.FromMinutes(0.2));

        Assert.Equal((PeerRefusals.Expired, null), (soon.Reason, later.Reason));
    }

    [Fact]
    public void PeersCertificate_IsAboutToEnd_DrainsWithinTheLastMinuteBeforeTheMargin()
    {
        var connection = Add("web", life: TimeSpan.FromMinutes(10));

        _time.Advance(TimeSpan.FromMinutes(10) - LiveConnections.LongestDrain - TimeSpan.FromSeconds(11));
        Assert.Equal(0, connection.Drains);
        _time.Advance(LiveConnections.LongestDrain + TimeSpan.FromSeconds(1.5));

        Assert.Equal((1, null), (connection.Drains, connection.Reason));
    }

    [Fact]
    public void OwnCertificate_EndsWithoutANewOne_Closes()
    {
        var connection = Add("web", life: TimeSpan.FromHours(5));

        for (var i = 0; i < 61; i++)
        {
            _time.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.Equal(ConnectionEnds.Over, connection.Reason);
    }

    [Fact]
    public void OwnCertificate_Replaced_DrainsWithinAMinuteAndClosesBeforeTheOldEnds()
    {
        var old = _identity.Current;
        var all = Enumerable.Range(0, 20).Select(_ => Add("web", life: TimeSpan.FromHours(5))).ToArray();
        _time.Advance(TimeSpan.FromMinutes(30));
        _identity.Replace(_ca.Identity("shop", "cart", TimeSpan.FromHours(1), generation: 2));
        var young = Add("web", life: TimeSpan.FromHours(5));

        for (var i = 0; i < 30; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        // By chance, not all in one moment.
        Assert.InRange(all.Count(c => c.Drains == 1), 3, 17);
        for (var i = 0; i < 40; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.All(all, c => Assert.Equal((1, 0), (c.Drains, c.Closes)));
        var end = old.Svid.NotAfter - LiveConnections.Margin(TimeSpan.FromMinutes(30));
        _time.Advance(end - _time.GetUtcNow() - TimeSpan.FromSeconds(1));
        Assert.All(all, c => Assert.Equal(0, c.Closes));
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.All(all, c => Assert.Equal((ConnectionEnds.Replaced, 1), (c.Reason, c.Closes)));
        Assert.Equal((0, 0), (young.Drains, young.Closes));
    }

    [Fact]
    public void SameLeafOtherBundle_DrainsNobody()
    {
        var connection = Add("web");

        _identity.Replace(_identity.Current.With(_ca.Bundle with { RevokedSerials = FrozenSet.Create("1f") }));
        _time.Advance(TimeSpan.FromMinutes(2));

        Assert.Equal((0, 0), (connection.Drains, connection.Closes));
    }

    [Fact]
    public void Clock_JumpsForwardOverAnEnd_IsNoticedWithinAMinute()
    {
        var connection = Add("web", life: TimeSpan.FromMinutes(50));

        _time.Jump(TimeSpan.FromHours(16));
        _time.Advance(TimeSpan.FromMinutes(1));

        Assert.Equal(PeerRefusals.Expired, connection.Reason);
    }

    [Fact]
    public void Removed_IsLeftAlone()
    {
        var connection = new Recorded(_identity.Current, new Peer(Id("web"), _ca.Root.Thumbprint, ["1"], _time.GetUtcNow().AddMinutes(1)));
        _live.Add(connection).Dispose();

        _time.Advance(TimeSpan.FromMinutes(2));

        Assert.Equal((0, 0), (connection.Closes, _live.Count));
    }

    private static SpiffeId Id(string sa) => SpiffeId.Parse($"spiffe://cluster.local/ns/shop/sa/{sa}");

    private Recorded Add(string sa, TimeSpan? life = null, string? root = null, string[]? serials = null, WorkloadIdentity? under = null)
    {
        var connection = new Recorded(under ?? _identity.Current, new Peer(Id(sa), root ?? _ca.Root.Thumbprint, serials ?? ["1"], _time.GetUtcNow() + (life ?? TimeSpan.FromMinutes(40))));
        _live.Add(connection);
        return connection;
    }

    private sealed class Recorded(WorkloadIdentity identity, Peer peer) : LiveConnection(identity, peer)
    {
        public int Drains { get; private set; }

        public int Closes { get; private set; }

        public string? Reason { get; private set; }

        public override void Drain() => Drains++;

        public override void Close(string reason, string problem)
        {
            Closes++;
            Reason = reason;
            Assert.NotEmpty(problem);
        }
    }
}
