using System.Text.RegularExpressions;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>What docs/gateway-api.md says of cases and features is what the table says.</summary>
public sealed partial class GatewayApiDocsTests
{
    [Fact]
    public void Cases_StandInTheDocs_AsInTheTable() =>
        Assert.Equal(GatewayCases.All.Select(Line), Lines().Where(l => CaseLine().IsMatch(l)));

    [Fact]
    public void Features_AreThoseOfClaimedCases()
    {
        var claimed = GatewayCases.All.Where(c => c.Claimed).SelectMany(c => c.Features).Distinct().Order(StringComparer.Ordinal);
        // A feature is supported when all of its cases are claimed.
        var supported = claimed.Except(GatewayCases.All.Where(c => !c.Claimed).SelectMany(c => c.Features));

        Assert.Equal(supported, Lines().Where(l => l.StartsWith("- `", StringComparison.Ordinal)).Select(l => l[3..l.IndexOf('`', 3)]));
    }

    [Fact]
    public void Case_ThatIsNotClaimed_HasAReason() => Assert.All(GatewayCases.All, c =>
    {
        Assert.NotEmpty(c.Features);
        Assert.True(c.Claimed || c.Remarks.Length > 0, c.Name);
        Assert.NotEmpty(c.Requests);
    });

    /// <summary>A line of the docs: name, claimed, what is run, remarks.</summary>
    private static string Line(GatewayCase c)
    {
        var requests = c.Requests.Sum(r => r.Repeat * r.Via.Count);
        var ways = c.Requests.SelectMany(r => r.Via).Distinct().Order(StringComparer.Ordinal);
        var protocols = c.Requests.Select(r => r.Protocol).Distinct().Order(StringComparer.Ordinal);
        return $"| {(c.Upstream ? c.Name : $"{c.Name} (ours)")} | {(c.Claimed ? "yes" : "**no**")} | {c.Requests.Count} rows, {requests} requests: {string.Join(", ", protocols)}; {string.Join(", ", ways)} | {c.Remarks} |";
    }

    private static string[] Lines() => GatewayCases.Docs.Split('\n');

    [GeneratedRegex(@"^\| (Mesh|HTTPRoute|GRPC|Route)\w+( \(ours\))? \|")]
    private static partial Regex CaseLine();
}
