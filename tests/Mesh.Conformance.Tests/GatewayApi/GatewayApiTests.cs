using Mesh.Testing;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>The cases of the Gateway API for meshes, through control plane and data plane (docs/gateway-api.md).</summary>
public sealed class GatewayApiTests(GatewayMeshes meshes) : IClassFixture<GatewayMeshes>
{
    private static readonly string[] _sources = ["folder", "kubernetes"];

    /// <summary>Each case in each way of calling, with each source of objects.</summary>
    public static TheoryData<string, string, string> Runs =>
        new(GatewayCases.All.SelectMany(c => c.Requests.SelectMany(r => r.Via).Distinct().Order(StringComparer.Ordinal).SelectMany(via => _sources.Select(source => (c.Name, via, source)))));

    public static TheoryData<string, string> CasesBySource => new(GatewayCases.All.SelectMany(c => _sources.Select(source => (c.Name, source))));

    public static TheoryData<string> Cases => new(GatewayCases.All.Select(c => c.Name));

    [Theory]
    [MemberData(nameof(Runs))]
    public async Task Requests_GetWhatTheTableSays(string name, string via, string source)
    {
        var mesh = await meshes.GetAsync(source);
        var rows = GatewayCases.Find(name).Requests.Where(r => r.Via.Contains(via)).ToArray();
        foreach (var who in rows.Select(r => r.From).Distinct())
        {
            await mesh.CallerAsync(who, via);
        }

        // All at once: some of them wait for a timeout.
        var failures = await Task.WhenAll(rows.Select(row => FailureAsync(mesh, row, via)));
        Assert.True(failures.All(f => f is null), string.Join('\n', failures.Where(f => f is not null)));
    }

    /// <summary>What the control plane has to say against a route of the case is what its status must tell, and nothing else.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Problems_AreToldWhereStatusMustTellThem(string name)
    {
        var model = (await meshes.GetAsync("folder")).Model;
        var told = model.Problems.Where(p => p.Where.StartsWith(name + ".yaml:", StringComparison.Ordinal)).Select(p => p.What).ToArray();
        var c = GatewayCases.Find(name);
        var bad = c.Status.Where(r => !r.IsGood).ToArray();

        Assert.All(bad, row => Assert.True(told.Any(t => Names(t, row)), $"Nothing is told of {row.Route}: {string.Join('\n', told)}"));
        Assert.All(c.Told, piece => Assert.Contains(told, t => t.Contains(piece, StringComparison.Ordinal)));
        Assert.All(told, t => Assert.True(bad.Any(row => Names(t, row)) || c.Told.Any(piece => t.Contains(piece, StringComparison.Ordinal)), t));
    }

    /// <summary>From Kubernetes: as it was written into the objects.</summary>
    [Theory]
    [MemberData(nameof(CasesBySource))]
    public async Task Status_IsWhatTheTableSays(string name, string source)
    {
        var mesh = await meshes.GetAsync(source);
        foreach (var row in GatewayCases.Find(name).Status)
        {
            var parts = row.Route.Split('/');
            var conditions = mesh.ControlPlane!.Conditions(parts[0], parts[1], parts[2], row.Parent);
            await Eventually.Async(
                () => (conditions = mesh.ControlPlane!.Conditions(parts[0], parts[1], parts[2], row.Parent)).Count > 0, $"{row.Route} has a status for {row.Parent}", TimeSpan.FromSeconds(60));
            Assert.Equal((row.Accepted == "Accepted", row.Accepted), conditions["Accepted"]);
            Assert.Equal((row.ResolvedRefs == "ResolvedRefs", row.ResolvedRefs), conditions["ResolvedRefs"]);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Table_SaysTheStatusOfEveryRouteOfTheCase(string name)
    {
        var rows = GatewayCases.Find(name).Status;
        var routes = new ClusterObjects().Files[name].Where(o => ClusterObjects.Kind(o).EndsWith("Route", StringComparison.Ordinal))
            .Select(o => $"{ClusterObjects.Kind(o)}/{ClusterObjects.NamespaceOf(o)}/{ClusterObjects.NameOf(o)}");

        Assert.Equal(routes.Order(StringComparer.Ordinal), rows.Select(r => r.Route).Distinct().Order(StringComparer.Ordinal));
        Assert.All(rows, r => Assert.True(r.HasKnownReasons, $"{r.Accepted}, {r.ResolvedRefs}"));
    }

    private static async Task<string?> FailureAsync(GatewayMesh mesh, RequestRow row, string via)
    {
        try
        {
            await new Exchange(mesh, row, via).RunAsync();
            return null;
        }
        catch (Exception e) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            return $"{row}\n  {(e is Xunit.Sdk.XunitException or TimeoutException ? e.Message : e)}";
        }
    }

    /// <summary>Problems begin with the kind, namespace and name of what they are about.</summary>
    private static bool Names(string problem, StatusRow row) => row.Route.Split('/') is [var kind, var ns, var route] && problem.StartsWith($"{kind} '{ns}/{route}'", StringComparison.Ordinal);
}
