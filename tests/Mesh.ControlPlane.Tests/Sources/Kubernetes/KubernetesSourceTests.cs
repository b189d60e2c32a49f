using System.Net;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources.Kubernetes;

public sealed class KubernetesSourceTests
{
    private static readonly ServiceName Catalog = new("shop", "catalog");

    [Fact]
    public async Task Start_ClusterWithObjects_PublishesAllOfThemAtOnce()
    {
        await using var cluster = await TestCluster.StartAsync(api => api.Apply(Shop("10.0.0.1", "10.0.0.2")));

        var catalog = cluster.Model.Services[Catalog];
        Assert.Equal(["10.0.0.1:8080", "10.0.0.2:8080"], catalog.Endpoints.Select(e => e.HostPort));
        Assert.Equal("catalog", Assert.Single(cluster.Model.Routes).Name);
        Assert.Empty(cluster.Model.Problems);
        Assert.All(cluster.Source.Kinds, k => Assert.True(k is { Synced: true, Exists: true, Trouble: null }, k.Kind));
    }

    [Fact]
    public async Task Changes_EndpointsRoutesAndDeletions_ComeIntoTheModel()
    {
        await using var cluster = await TestCluster.StartAsync(api => api.Apply(Shop("10.0.0.1")));

        cluster.Api.Apply(Shop("10.0.0.1", "10.0.0.3"));
        await cluster.ModelAsync(m => m.Services[Catalog].Endpoints.Length == 2, "the second endpoint");
        cluster.Api.Delete("httproutes.gateway.networking.k8s.io", "shop", "catalog");
        await cluster.ModelAsync(m => m.Routes.IsEmpty, "the route's deletion");
        cluster.Api.Delete("services", "shop", "catalog");
        await cluster.ModelAsync(m => m.Services.IsEmpty, "the Service's deletion");
    }

    [Fact]
    public async Task WatchesCut_Again_ChangesArriveWithoutAnotherList()
    {
        await using var cluster = await TestCluster.StartAsync(api => api.Apply(Shop("10.0.0.1")));
        for (var i = 2; i < 5; i++)
        {
            cluster.Api.Faults.CutWatches();
            cluster.Api.Apply(Shop("10.0.0.1", $"10.0.0.{i}"));
            await cluster.ModelAsync(m => m.Services[Catalog].Endpoints.Any(e => e.Address == $"10.0.0.{i}"), $"endpoint {i}");
        }

        Assert.Equal(1, cluster.Source.Kinds.Single(k => k.Kind == "EndpointSlice").Lists);
    }

    [Fact]
    public async Task VersionTooOld_410_ReadsAllAgainAndLosesNothing()
    {
        await using var cluster = await TestCluster.StartAsync(api => api.Apply(Shop("10.0.0.1", "10.0.0.2")));
        var lost = 0;
        using var watching = cluster.Store.Subscribe(m => lost += m.Services.GetValueOrDefault(Catalog)?.Endpoints.Any(e => e.Address == "10.0.0.1") == true ? 0 : 1);

        // While nobody watches, an endpoint goes and the history is forgotten.
        cluster.Api.Faults.Fail("/apis/discovery.k8s.io", 503, count: 1000, verb: "watch");
        cluster.Api.Faults.CutWatches();
        cluster.Api.Apply(Shop("10.0.0.1", "10.0.0.9"));
        cluster.Api.Compact();
        cluster.Api.Faults.Clear();

        await cluster.ModelAsync(m => m.Services[Catalog].Endpoints.Any(e => e.Address == "10.0.0.9"), "the new endpoint");
        Assert.DoesNotContain(cluster.Model.Services[Catalog].Endpoints, e => e.Address == "10.0.0.2");
        Assert.True(cluster.Source.Kinds.Single(k => k.Kind == "EndpointSlice").Lists > 1);
        Assert.Equal(0, lost);
    }

    [Theory]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    [InlineData(0)]
    public async Task ServerRefuses_ForAWhile_WhatIsKnownStaysAndChangesArriveAfterwards(int status)
    {
        await using var cluster = await TestCluster.StartAsync(api => api.Apply(Shop("10.0.0.1")));
        cluster.Api.Faults.Fail(string.Empty, status, count: 1000, retryAfter: status == 429 ? 1 : null);
        cluster.Api.Faults.CutWatches();
        await Eventually.Async(() => cluster.Source.Kinds.All(k => k.Trouble is not null), "every kind is in trouble", TimeSpan.FromSeconds(30));
        Assert.Single(cluster.Model.Services[Catalog].Endpoints);

        cluster.Api.Faults.Clear();
        cluster.Api.Apply(Shop("10.0.0.1", "10.0.0.2"));
        await cluster.ModelAsync(m => m.Services[Catalog].Endpoints.Length == 2, "the second endpoint");
        await Eventually.Async(() => cluster.Source.Kinds.Single(k => k.Kind == "EndpointSlice").Trouble is null, "no trouble any more");
    }

    [Fact]
    public async Task Start_ServerComesLater_WaitsForAllKinds()
    {
        await using var cluster = await TestCluster.StartAsync(api =>
        {
            api.Apply(Shop("10.0.0.1"));
            api.Faults.Fail("/api/v1/pods", 503, count: 2);
            api.Faults.Fail("/apis/gateway.networking.k8s.io", 500, count: 2);
        });

        Assert.Single(cluster.Model.Services[Catalog].Endpoints);
        Assert.Single(cluster.Model.Routes);
    }

    [Fact]
    public async Task WatchSaysNothing_ForMinutes_IsAskedAgain()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using var cluster = await TestCluster.StartAsync(api => api.Apply(Shop("10.0.0.1")), time: time);
        await Eventually.Async(() => Watches(cluster) >= 1, "the watch of slices");
        cluster.Api.Faults.StallWatches();
        cluster.Api.Apply(Shop("10.0.0.1", "10.0.0.2"));
        Assert.Single(cluster.Model.Services[Catalog].Endpoints);

        await Eventually.Async(() =>
        {
            time.Advance(TimeSpan.FromMinutes(1));
            return Watches(cluster) >= 2;
        }, "the watch is asked for again");
        cluster.Api.Faults.ResumeWatches();
        await Eventually.Async(() =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            return cluster.Model.Services[Catalog].Endpoints.Length == 2;
        }, "the second endpoint");
    }

    [Fact]
    public async Task CrdMissing_Installed_IsNoticedWithItsObjects()
    {
        await using var cluster = await TestCluster.StartAsync(api => api.Apply(string.Join("\n---\n", Shop("10.0.0.1").Split("\n---\n")[..2])), definitions: false);
        Assert.Single(cluster.Model.Services);
        Assert.All(cluster.Source.Kinds.Where(k => k.Kind.EndsWith("Route", StringComparison.Ordinal)), k => Assert.True(k is { Exists: false, Synced: true }));

        TestCluster.Define(cluster.Api);
        cluster.Api.Apply(Shop("10.0.0.1"));

        await cluster.ModelAsync(m => m.Routes.Length == 1, "the route of the new kind");
    }

    [Fact]
    public async Task WrongObject_AmongOthers_KeepsItsLastGoodVersionAndTakesNobodyDown()
    {
        await using var cluster = await TestCluster.StartAsync(api => api.Apply(Shop("10.0.0.1")));

        cluster.Api.Change("httproutes.gateway.networking.k8s.io", "shop", "catalog", r => r["spec"]!["rules"]![0]!["novelty"] = true);
        await cluster.ModelAsync(m => m.Problems.Any(p => p.What.Contains("novelty", StringComparison.Ordinal)), "the problem");

        var problem = Assert.Single(cluster.Model.Problems);
        Assert.Equal("httproute/shop/catalog", problem.Where);
        Assert.Contains("last good version stays in force", problem.What, StringComparison.Ordinal);
        Assert.Single(cluster.Model.Routes);
        var conditions = Assert.Single(Assert.Single(cluster.Model.RouteReports).Parents).Conditions;
        Assert.Contains(conditions, c => c is { Type: RouteCondition.PartiallyInvalid, Status: true } && c.Message.StartsWith("Fall Back", StringComparison.Ordinal));
        Assert.Equal(1, conditions.Single(c => c.Type == RouteCondition.Accepted).Generation);
        Assert.Equal(2, cluster.Model.RouteReports[0].Origin!.Generation);
    }

    [Fact]
    public async Task NewerServer_UnknownFieldsOfItsOwnKinds_RefuseNothing()
    {
        await using var cluster = await TestCluster.StartAsync(api =>
        {
            api.Apply(Shop("10.0.0.1"));
            api.Change("services", "shop", "catalog", s => (s["spec"]!["novelty"], s["spec"]!["trafficDistribution"], s["metadata"]!["annotations"]) = (true, "PreferMoon", new System.Text.Json.Nodes.JsonObject { ["meshlib.io/misspelt"] = "x" }));
            api.Change("endpointslices.discovery.k8s.io", "shop", "catalog-1", s => s["endpoints"]![0]!["novelty"] = 1);
        });

        Assert.Single(cluster.Model.Services[Catalog].Endpoints);
        Assert.Equal(2, cluster.Model.Problems.Length);
    }

    [Fact]
    public async Task PodChanges_HeartbeatsAlone_MakeNoModel()
    {
        await using var cluster = await TestCluster.StartAsync(api => api.Apply(Shop("10.0.0.1") + "\n---\n" + Pod("catalog-0", "10.0.0.1")));
        var before = cluster.Model;

        cluster.Api.Change("pods", "shop", "catalog-0", p => p["metadata"]!["annotations"] = new System.Text.Json.Nodes.JsonObject { ["beat"] = "1" });
        await Eventually.Async(() => cluster.Source.Kinds.Single(k => k.Kind == "Pod").Events == 1, "the event");
        cluster.Api.Apply(Shop("10.0.0.1", "10.0.0.2"));
        await cluster.ModelAsync(m => m.Services[Catalog].Endpoints.Length == 2, "a change that counts");

        Assert.NotSame(before, cluster.Model);
        Assert.Contains(cluster.Model.Workloads, w => w.Name == "catalog-0" && w.ServiceAccount == "catalog");
    }

    [Fact]
    public async Task MarkOnThePod_Sidecar_MakesItsEndpointsMeshed()
    {
        await using var cluster = await TestCluster.StartAsync(api => api.Apply(Shop("10.0.0.1").Replace("- addresses: [10.0.0.1]", "- addresses: [10.0.0.1]\n    targetRef: {kind: Pod, name: catalog-0}", StringComparison.Ordinal)
            + "\n---\n" + Pod("catalog-0", "10.0.0.1")));
        Assert.False(cluster.Model.Services[Catalog].Endpoints[0].Meshed);

        cluster.Api.Change("pods", "shop", "catalog-0", p => p["metadata"]!["annotations"] = new System.Text.Json.Nodes.JsonObject { ["meshlib.io/meshed"] = "sidecar" });

        await cluster.ModelAsync(m => m.Services[Catalog].Endpoints[0] is { Meshed: true, SpeaksTcp: true, ServiceAccount: "catalog" }, "the mark");
    }

    [Fact]
    public async Task ExternalName_Resolved_HasAddressesAtEveryPort()
    {
        var resolver = new Resolver();
        await using var cluster = await TestCluster.StartAsync(
            api => api.Apply("{apiVersion: v1, kind: Service, metadata: {name: bank, namespace: shop}, spec: {type: ExternalName, externalName: bank.example}}"), resolver: resolver);

        var bank = cluster.Model.Services[new ServiceName("shop", "bank")];
        Assert.Equal("bank.example", bank.ExternalName);
        Assert.Equal("192.0.2.7:8443", Assert.Single(bank.EndpointsOf(bank.FindPort(8443)!)).HostPort);
    }

    [Fact]
    public async Task Stop_WhileServerIsAway_Ends()
    {
        var cluster = await TestCluster.StartAsync(api => api.Apply(Shop("10.0.0.1")));
        cluster.Api.Faults.Fail(string.Empty, 503, count: 1000);
        cluster.Api.Faults.CutWatches();
        await cluster.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);

        Assert.DoesNotContain(cluster.Logs.GetSnapshot(), r => r.Level >= LogLevel.Error);
    }

    private static int Watches(TestCluster cluster) => cluster.Api.Log.All.Count(r => r.Verb == "watch" && r.Path.EndsWith("/endpointslices", StringComparison.Ordinal));

    internal static string Pod(string name, string address) => $$"""
        apiVersion: v1
        kind: Pod
        metadata: {name: {{name}}, namespace: shop, labels: {app: catalog} }
        spec:
          serviceAccountName: catalog
          nodeName: node-a
          containers: [{name: app, image: app, ports: [{name: http, containerPort: 8080}]}]
        status: { podIP: {{address}}, podIPs: [ { ip: {{address}} } ], phase: Running, conditions: [{type: Ready, status: "True"}]}
        """;

    internal static string Shop(params string[] addresses) => $$"""
        apiVersion: v1
        kind: Service
        metadata: {name: catalog, namespace: shop}
        spec:
          selector: {app: catalog}
          ports: [{name: http, port: 80, targetPort: 8080}]
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: catalog-1
          namespace: shop
          labels: {kubernetes.io/service-name: catalog}
        addressType: IPv4
        endpoints:
        {{string.Join('\n', addresses.Select(a => $"  - addresses: [{a}]"))}}
        ports: [{name: http, port: 8080}]
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: {name: catalog, namespace: shop}
        spec:
          parentRefs: [{group: "", kind: Service, name: catalog}]
          rules: [{backendRefs: [{name: catalog, port: 80}]}]
        """;

    private sealed class Resolver : IHostNameResolver
    {
        public Task<IReadOnlyList<IPAddress>> ResolveAsync(string name, CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<IPAddress>>(name == "bank.example" ? [IPAddress.Parse("192.0.2.7")] : []);
    }
}
