using Mesh.ControlPlane.Model;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>The cases of the Gateway API for meshes, through control plane and data plane (docs/gateway-api.md).</summary>
public sealed class GatewayApiTests(GatewayMeshes meshes) : IClassFixture<GatewayMeshes>
{
    public static TheoryData<string, string> Runs =>
        new(GatewayCases.All.SelectMany(c => c.Requests.SelectMany(r => r.Via).Distinct().Order(StringComparer.Ordinal).Select(via => (c.Name, via))));

    public static TheoryData<string> Cases => new(GatewayCases.All.Select(c => c.Name));

    [Theory]
    [MemberData(nameof(Runs))]
    public async Task Requests_GetWhatTheTableSays(string name, string via)
    {
        var mesh = await meshes.GetAsync();
        var failures = new List<string>();
        foreach (var row in GatewayCases.Find(name).Requests.Where(r => r.Via.Contains(via)))
        {
            try
            {
                await new Exchange(mesh, row, via).RunAsync();
            }
            catch (Exception e) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
            {
                failures.Add($"{row}\n  {(e is Xunit.Sdk.XunitException or TimeoutException ? e.Message : e)}");
            }
        }

        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    /// <summary>What the control plane has to say against a route of the case is what its status must tell, and nothing else.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Problems_AreToldWhereStatusMustTellThem(string name)
    {
        var model = (await meshes.GetAsync()).Model;
        var told = model.Problems.Where(p => p.Where.StartsWith(name + ".yaml:", StringComparison.Ordinal)).Select(p => p.What).ToArray();
        var c = GatewayCases.Find(name);
        var bad = c.Status.Where(r => !r.IsGood).ToArray();

        Assert.All(bad, row => Assert.True(told.Any(t => Names(t, row)), $"Nothing is told of {row.Route}: {string.Join('\n', told)}"));
        Assert.All(c.Told, piece => Assert.Contains(told, t => t.Contains(piece, StringComparison.Ordinal)));
        Assert.All(told, t => Assert.True(bad.Any(row => Names(t, row)) || c.Told.Any(piece => t.Contains(piece, StringComparison.Ordinal)), t));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Routes_AreAttachedWhereTheyAreAccepted(string name)
    {
        var mesh = await meshes.GetAsync();
        Assert.All(GatewayCases.Find(name).Status.Where(r => r.Accepted is "Accepted" or "NoMatchingParent"), row =>
        {
            var parts = row.Route.Split('/');
            var route = mesh.Model.Routes.Single(r => (r.Grpc ? "GRPCRoute" : "HTTPRoute") == parts[0] && r.Namespace == parts[1] && r.Name == parts[2]);
            Assert.Equal(row.Accepted == "Accepted", route.Parents.Any(p => p.Service.Name == row.Parent));
        });
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

    /// <summary>Problems begin with the kind, namespace and name of what they are about.</summary>
    private static bool Names(string problem, StatusRow row) => row.Route.Split('/') is [var kind, var ns, var route] && problem.StartsWith($"{kind} '{ns}/{route}'", StringComparison.Ordinal);
}
