using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.Concurrency;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Tests.CertificateAuthority;
using Xunit;

namespace Mesh.ControlPlane.Tests.Cluster;

/// <summary>Whom a change of the root waits for, by what another replica says or does not say.</summary>
public sealed class OtherReplicaTests : IDisposable
{
    private readonly AuthorityFixture _ca = new();

    public OtherReplicaTests()
    {
        _ca.Start();
        _ca.Authority.Rotate("test");
    }

    public void Dispose() => _ca.Dispose();

    private TrustSnapshot Trust => _ca.Trust.Current;

    [Fact]
    public void Live_WhoSaysSoOfThisPhase_IsBelieved()
    {
        Assert.Empty(Waits(Summary()));
        Assert.Equal(["b roots", "others roots"], Waits(Summary() with { Waiting = 3, Waits = [new RotationWait("x", "b", true, "roots", null)] }).Select(w => w == "2 more of pod roots" ? "others roots" : w));
    }

    [Fact]
    public void Live_OfAnotherPhaseOrBundle_OrSilent_IsWaitedFor()
    {
        Assert.Equal(["pod replica"], Waits(Summary() with { Trust = "another" }));
        Assert.Equal(["pod replica"], Waits(Summary() with { Since = _ca.State.Since.AddSeconds(-1) }));
        Assert.Equal(["pod replica"], Waits(Summary(), passed: TimeSpan.FromSeconds(31)));
        Assert.Equal(["pod replica (it has no summary)"], Waits(null));
    }

    [Fact]
    public void Stopped_IsWaitedForByWhatItSigned()
    {
        var end = _ca.Time.GetUtcNow().AddHours(1);
        var stopped = Summary() with { Stopped = true, Trust = "another", Signed = [new SignedLeaves("r", "other roots", end, 1)] };
        Assert.Equal(["pod roots"], Waits(stopped));
        Assert.Empty(Waits(stopped with { Signed = [new SignedLeaves("r", Trust.RootsVersion, end, 1)] }));
        Assert.Empty(Waits(stopped, passed: TimeSpan.FromMinutes(61)));

        // Issuing: by the root that signed, whatever roots came with it.
        _ca.Authority.Advance(_ca.State);
        var old = Certificates.Id(_ca.State.Previous[0]);
        end = _ca.Time.GetUtcNow().AddHours(1);
        Assert.Equal(["pod leaf"], Waits(stopped with { Signed = [new SignedLeaves(old, Trust.RootsVersion, end, 1)] }));
        Assert.Empty(Waits(stopped with { Signed = [new SignedLeaves(_ca.State.Signing.RootId, Trust.RootsVersion, end, 1)] }));
    }

    [Fact]
    public void Gone_IsWaitedForOneLifeFromThen_AsNobodyKnowsWhatItSignedLast()
    {
        var gone = _ca.Time.GetUtcNow();
        var summary = Summary() with { Roots = "other roots", LeafLifeSeconds = 3600 };
        Assert.Equal(["pod roots"], Waits(summary, gone));
        Assert.Equal(["pod roots"], Waits(summary, gone, TimeSpan.FromMinutes(59)));
        Assert.Empty(Waits(summary, gone, TimeSpan.FromMinutes(1)));
        // It had what is in force now: what it signed last is good in this phase.
        Assert.Empty(Waits(Summary(), _ca.Time.GetUtcNow()));
    }

    private ReplicaSummary Summary() => new(Trust.Version, Trust.RootsVersion, _ca.State.Signing.RootId, _ca.State.Since, 3600, 0, [], [], [], false);

    private string[] Waits(ReplicaSummary? summary, DateTimeOffset? gone = null, TimeSpan passed = default)
    {
        var data = new JsonObject();
        if (summary is not null)
        {
            data[ReplicaSummary.DataKey] = summary.Write();
        }

        if (gone is { } at)
        {
            data[ReplicaSummary.GoneKey] = at.ToString("O", CultureInfo.InvariantCulture);
        }

        var replica = new OtherReplica("pod", new JsonObject { ["metadata"] = new JsonObject { ["resourceVersion"] = "1" }, ["data"] = data }, new Appointment(_ca.Time, TimeSpan.FromSeconds(30)));
        _ca.Time.Advance(passed);
        return [.. replica.Waits(_ca.State, Trust, _ca.Time).Select(w => $"{w.Node} {w.For}")];
    }
}
