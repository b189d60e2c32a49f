using Mesh.Outbound;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Alone in its collection: it counts what the whole process allocates.</summary>
[Collection(nameof(AllocationTests))]
[CollectionDefinition(nameof(AllocationTests), DisableParallelization = true)]
public sealed class AllocationTests(ITestOutputHelper output)
{
    private const int Calls = 2_000;

    // Design §6 aims at 500; this bound catches a regression, the bench measures.
    private const int MaxAddedBytes = 2_000;

    [Fact]
    public async Task Get_RoutedBalancedRetryArmedMetricsOn_AddsLittleToTheSameHandlerBare()
    {
        using var ca = new TestCa("cluster.local");
        await using var program = new MeshedProgram(ca);
        await using var backend = await Backend.StartAsync(new Mesh.Identity.FixedIdentitySource(ca.Identity("shop", "catalog")));
        program.Serve("catalog", [backend.Endpoint]);
        using var own = new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false };
        using var meshed = new HttpMessageInvoker(new MeshHttpHandler(program.Services.GetRequiredService<OutboundPipeline>(), own));
        using var bare = new HttpMessageInvoker(new SocketsHttpHandler
        {
            UseCookies = false,
            AllowAutoRedirect = false,
            UseProxy = false,
            ActivityHeadersPropagator = null,
            ConnectCallback = (_, cancel) => MeshConnector.ConnectAsync(
                backend.Endpoint, null, program.Identity.Current, http2: true, TimeSpan.FromSeconds(2), TimeProvider.System, NullLogger.Instance, cancel),
        });
        await MeasureAsync(meshed);
        await MeasureAsync(bare);

        var added = new List<long>();
        for (var pair = 0; pair < 3; pair++)
        {
            added.Add(await MeasureAsync(meshed) - await MeasureAsync(bare));
        }

        added.Sort();
        output.WriteLine($"bytes added per call: {string.Join(", ", added)}");
        Assert.True(added[1] < MaxAddedBytes, $"bytes added per call: {string.Join(", ", added)}");
    }

    private static async Task<long> MeasureAsync(HttpMessageInvoker invoker)
    {
        var before = GC.GetTotalAllocatedBytes(precise: true);
        for (var i = 0; i < Calls; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/") { Version = new Version(2, 0), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            using var response = await invoker.SendAsync(request, CancellationToken.None);
            await response.Content.CopyToAsync(Stream.Null, CancellationToken.None);
        }

        return (GC.GetTotalAllocatedBytes(precise: true) - before) / Calls;
    }
}
