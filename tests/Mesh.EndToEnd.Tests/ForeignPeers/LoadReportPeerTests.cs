using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Outbound;
using Mesh.Server;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>Load reports (ORCA) between us and grpc-js, each way, with the answers and out of band.</summary>
[Trait("gRFC", "A51")]
public sealed class LoadReportPeerTests
{
    private static readonly Method<string, string> _ask = new(MethodType.Unary, "test.Foreign", "Ask", Marshallers.StringMarshaller, Marshallers.StringMarshaller);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("gRFC", "A58")]
    public async Task OurClient_ServersOfGrpcJs_AreWeighedByWhatTheyReport(bool outOfBand)
    {
        NodePeer.SkipUnlessInstalled();
        await NodePeer.InstallAsync();
        await using var busy = Node("serve", "0.5", "100");
        await using var idle = Node("serve", "0.125", "100");
        int[] ports = [await PortAsync(busy), await PortAsync(idle)];
        await using var program = Program();
        var config = (InMemoryConfigSource)program.GetRequiredService<IConfigSource>();
        var weights = new WeightedRoundRobin(outOfBand, TimeSpan.FromMilliseconds(100), TimeSpan.Zero, TimeSpan.FromMinutes(3), TimeSpan.FromMilliseconds(100), 1, []);
        config.Set(Snapshot(ports, weights));
        using var channel = MeshChannel.ForAddress("xds:///foreign", program);
        var calls = channel.CreateCallInvoker();
        Assert.True(await AskAsync() is "0.5" or "0.125");

        var cluster = program.GetRequiredService<OutboundTableStore>().Current.Find(ListenerKey.Parse("foreign"))!.Clusters[0];
        // Calls per second by utilization, exactly as written there.
        await Eventually.Async(
            async () =>
            {
                await AskAsync();
                return cluster.Balancer.Endpoints.Select(e => e.LoadWeight(weights, TimeProvider.System, TimeProvider.System.GetTimestamp())).SequenceEqual([200.0, 800.0]);
            },
            "both weights are known",
            TimeSpan.FromSeconds(30));

        // And calls follow them: one to four, once the picker has taken the weights over.
        await Eventually.Async(
            async () =>
            {
                var toIdle = 0;
                for (var i = 0; i < 100; i++)
                {
                    toIdle += await AskAsync() == "0.125" ? 1 : 0;
                }

                return toIdle is >= 75 and <= 85;
            },
            "four of five calls go to the idle one",
            TimeSpan.FromSeconds(30));

        async Task<string> AskAsync() => await calls.AsyncUnaryCall(_ask, null, new CallOptions(cancellationToken: Cancel), "");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("gRFC", "A58")]
    public async Task ClientOfGrpcJs_OurServers_AreWeighedByWhatTheyReport(bool outOfBand)
    {
        NodePeer.SkipUnlessInstalled();
        await NodePeer.InstallAsync();
        int[] ports = [RunningMesh.FreePort(), RunningMesh.FreePort()];
        await using var mesh = await RunningMesh.StartAsync(("cart.yaml", RunningMesh.ServiceYaml("cart", 8080, ports)));
        foreach (var (port, utilization) in ports.Zip([0.9, 0.1]))
        {
            var app = await mesh.StartServiceAsync(
                "cart",
                port,
                app => app.MapGrpcService<WhoAmIService>(),
                builder =>
                {
                    builder.Services.AddGrpc();
                    builder.Services.AddSingleton(new WhoAmIService.Replica(utilization.ToString(CultureInfo.InvariantCulture)));
                    builder.WebHost.ConfigureKestrel(k => k.ConfigureEndpointDefaults(l => l.Protocols = HttpProtocols.Http2));
                },
                // The script calls in plaintext, as one from outside of the mesh.
                settings => settings["Mesh:Server:ReportLoadToAll"] = "true");
            app.Services.GetRequiredService<MeshLoadReporter>().ApplicationUtilization = utilization;
        }

        await mesh.WaitUntilMeshedAsync("cart");
        await using var peer = Node("call", "ipv4:" + string.Join(',', ports.Select(p => $"127.0.0.1:{p}")), "/whoami.v1.WhoAmI/Ask", "400", outOfBand ? "true" : "false");
        var exit = await peer.ExitAsync(TimeSpan.FromSeconds(90));
        Assert.True(exit == 0, $"node ended with {exit}: {peer.Errors}");
        var result = JsonDocument.Parse(peer.Output).RootElement;
        Assert.True(result.GetProperty("failures").GetArrayLength() == 0, $"{result}{Environment.NewLine}{peer.Errors}");
        // Blind round robin gives each 200. What our servers say makes the idle one worth nine times as much.
        var answers = result.GetProperty("answers");
        Assert.True(answers.GetProperty("0.1").GetInt32() > 300, $"{result}");
    }

    private static ChildProcess Node(params string[] arguments) => ChildProcess.Start("node", [Path.Combine(NodePeer.Folder, "orca.js"), .. arguments]);

    private static async Task<int> PortAsync(ChildProcess node) => int.Parse(await node.FirstLineAsync(TimeSpan.FromSeconds(30)), CultureInfo.InvariantCulture);

    private static ServiceProvider Program()
    {
        var services = new ServiceCollection();
        services.AddLogging();
        services.AddMesh();
        services.AddSingleton<IConfigSource>(new InMemoryConfigSource());
        using var ca = new TestCa("cluster.local");
        services.AddSingleton<IWorkloadIdentitySource>(new FixedIdentitySource(ca.Identity("shop", "storefront")));
        services.AddSingleton(new MeshActivation(true));
        return services.BuildServiceProvider();
    }

    private static MeshSnapshot Snapshot(int[] ports, WeightedRoundRobin weights)
    {
        const string Name = "outbound|80||foreign.shop.svc.cluster.local";
        var cluster = new Cluster(Name, Name, TimeSpan.FromSeconds(5)) { LoadBalancing = LoadBalancing.WeightedRoundRobin, WeightedRoundRobin = weights };
        var endpoints = new LoadAssignment(Name, [new(new("", "", ""), 0, 1, [.. ports.Select(p => new Mesh.Config.Endpoint("127.0.0.1", p, 1, true))])]);
        return new MeshSnapshot
        {
            Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add("foreign", new ListenerResult.Found(
                new Listener("foreign") { Api = new HttpConnectionManager("foreign", null, null) },
                new RouteConfiguration("foreign", [new VirtualHost("foreign", ["*"], [new Route("all", new RouteMatch(null, [], null), new RouteAction.Forward([new(Name, 1)]))])]))),
            Clusters = ImmutableDictionary<string, ClusterResult>.Empty.Add(Name, new ClusterResult.Found(cluster, endpoints)),
        };
    }
}
