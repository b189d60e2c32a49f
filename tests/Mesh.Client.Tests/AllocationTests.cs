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

    // Measured: 510 in Release, 1,160 in Debug, where every async method takes its state machine as an object; 15 % more is allowed.
    // Design §6's 500 is against a client of IHttpClientFactory, which has a redirect handler of its own; the bench measures that: 430.
#if DEBUG
    private const int MaxAddedBytes = 1_340;
#else
    private const int MaxAddedBytes = 600;
#endif

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
            ConnectCallback = (_, cancel) => new MeshConnector(TimeProvider.System, null, null, NullLogger.Instance).ConnectAsync(
                backend.Endpoint, new Mesh.Config.Cluster("catalog", "catalog", TimeSpan.FromSeconds(2)), program.Identity.Current, http2: true, null, cancel),
        });
        await MeasureAsync(meshed);
        await MeasureAsync(bare);

        // Each side's least: what else runs in the process only ever adds.
        var (withMesh, without) = (long.MaxValue, long.MaxValue);
        for (var round = 0; round < 5; round++)
        {
            withMesh = Math.Min(withMesh, await MeasureAsync(meshed));
            without = Math.Min(without, await MeasureAsync(bare));
        }

        output.WriteLine($"bytes per call: {withMesh} with mesh, {without} without, {withMesh - without} added");
        Assert.True(withMesh - without < MaxAddedBytes, $"bytes per call: {withMesh} with mesh, {without} without, {withMesh - without} added");
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
