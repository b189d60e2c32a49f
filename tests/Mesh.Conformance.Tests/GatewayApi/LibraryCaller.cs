using Grpc.Net.Client;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>An app in the mesh by the library.</summary>
internal sealed class LibraryCaller : ICaller
{
    private readonly IHost _host;

    private LibraryCaller(IHost host)
    {
        _host = host;
        Http = host.Services.GetRequiredService<IHttpClientFactory>().CreateClient("mesh");
    }

    public HttpMessageInvoker Http { get; }

    public bool SpeaksExactly => false;

    public static async Task<ICaller> StartAsync(Dictionary<string, string?> settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Configuration.AddInMemoryCollection(settings);
        builder.Services.AddMesh().AddHttpClient("mesh").ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false });
        var host = builder.Build();
        await host.StartAsync();
        return new LibraryCaller(host);
    }

    public GrpcChannel Channel(Uri address) => MeshChannel.ForAddress(address.GetLeftPart(UriPartial.Authority), _host.Services);

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _host.StopAsync();
        _host.Dispose();
    }
}
