using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.Client.Tests;

public sealed class AddMeshTests : IDisposable
{
    private readonly TestCa _ca = new("cluster.local");

    public void Dispose() => _ca.Dispose();

    [Fact]
    public async Task AddMesh_EveryClient_EndsInTheMeshHandler()
    {
        await using var program = new MeshedProgram(_ca);
        Assert.IsType<MeshHttpHandler>(Primary(program, "any"));
    }

    [Fact]
    public async Task AddMesh_PrimarySetInCodeAfterwards_IsKeptInside()
    {
        await using var program = new MeshedProgram(_ca, s => s.AddHttpClient("own").ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler()));
        Assert.IsType<MeshHttpHandler>(Primary(program, "own"));
    }

    [Fact]
    public async Task DisableMesh_OneClient_IsLeftAlone()
    {
        await using var program = new MeshedProgram(_ca, s => s.AddHttpClient("out").DisableMesh());
        Assert.IsNotType<MeshHttpHandler>(Primary(program, "out"));
        Assert.IsType<MeshHttpHandler>(Primary(program, "in"));
    }

    [Fact]
    public async Task AddMesh_OtlpExporters_AreLeftAlone()
    {
        await using var program = new MeshedProgram(_ca);
        Assert.IsNotType<MeshHttpHandler>(Primary(program, "OtlpTraceExporter"));
    }

    [Fact]
    public async Task AddMesh_NotConfigured_ChangesNoClient()
    {
        await using var program = new MeshedProgram(_ca, isOn: false);
        Assert.IsNotType<MeshHttpHandler>(Primary(program, "any"));
        using var client = HttpClient.CreateMesh(program.Services);
        Assert.NotNull(client);
    }

    [Fact]
    public void AddMesh_Twice_IsAsOnce()
    {
        var services = new ServiceCollection();
        services.AddMesh();
        var once = services.Count;
        services.AddMesh();
        Assert.Equal(1, services.Count(d => d.ServiceType == typeof(IHttpMessageHandlerBuilderFilter) && d.ImplementationType == typeof(MeshHandlerFilter)));
        Assert.Equal(once, services.Count);
    }

    [Fact]
    public async Task AddMesh_SettingsThatDoNotApply_AreNamedOnce()
    {
        await using var program = new MeshedProgram(_ca, s => s.AddHttpClient("zip")
            .ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler { AutomaticDecompression = System.Net.DecompressionMethods.All }));

        Primary(program, "zip");
        Primary(program, "zip");

        var warning = Assert.Single(program.Logs.GetSnapshot(), r => r.Level == LogLevel.Warning);
        Assert.Contains("'zip'", warning.Message, StringComparison.Ordinal);
        Assert.Contains("AutomaticDecompression", warning.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AddMesh_PrimaryIsAMock_UnknownHostsReachIt_AndAWarningNamesIt()
    {
        using var mock = new Mock();
        await using var program = new MeshedProgram(_ca, s =>
        {
            s.AddHttpClient("mocked").ConfigurePrimaryHttpMessageHandler(() => mock);
            s.AddHttpClient("wrapped").ConfigurePrimaryHttpMessageHandler(() => new Wrapper(mock));
        });
        await using var backend = await Backend.StartAsync(new Mesh.Identity.FixedIdentitySource(_ca.Identity("shop", "catalog")));
        program.Serve("catalog", [backend.Endpoint]);

        foreach (var name in new[] { "mocked", "wrapped" })
        {
            Assert.Equal("mock", await program.Client(name).GetStringAsync("https://api.example.com/", TestContext.Current.CancellationToken));
            Assert.Equal("mock", await program.Client(name).GetStringAsync("http://nobody/", TestContext.Current.CancellationToken));
            Assert.Equal("ok", await program.Client(name).GetStringAsync("http://catalog/", TestContext.Current.CancellationToken));
        }

        Assert.Equal(4, mock.Requests);
        Assert.Equal(
            ["all of Mock", "all of Wrapper"],
            program.Logs.GetSnapshot().Where(r => r.Id.Id == 2200).Select(r => r.StructuredState!.Single(s => s.Key == "Settings").Value).Order());
    }

    [Fact]
    public void CreateMesh_ServicesWithoutMesh_SaysWhatToCall()
    {
        using var services = new ServiceCollection().BuildServiceProvider();
        var error = Assert.Throws<InvalidOperationException>(() => HttpClient.CreateMesh(services));
        Assert.Contains("AddMesh()", error.Message, StringComparison.Ordinal);
    }

    private static HttpMessageHandler Primary(MeshedProgram program, string name)
    {
        var handler = program.Services.GetRequiredService<IHttpMessageHandlerFactory>().CreateHandler(name);
        while (handler is DelegatingHandler { InnerHandler: { } inner })
        {
            handler = inner;
        }

        return handler;
    }

    private sealed class Wrapper(HttpMessageHandler inner) : DelegatingHandler(inner);

    private sealed class Mock : HttpMessageHandler
    {
        private int _requests;

        public int Requests => _requests;

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _requests);
            return Task.FromResult(new HttpResponseMessage { Content = new StringContent("mock"), RequestMessage = request });
        }
    }
}
