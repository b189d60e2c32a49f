using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.EndToEnd.Tests.WrongInput;

/// <summary>One healthy mesh for all tests of a class: front calls catalog; empty is a Service that nobody serves.</summary>
public sealed class SharedMesh : IAsyncLifetime
{
    internal RunningMesh Mesh { get; private set; } = null!;

    internal int CatalogPort { get; } = RunningMesh.FreePort();

    internal HttpClient Front { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        var frontPort = RunningMesh.FreePort();
        Mesh = await RunningMesh.StartAsync(
            ("catalog.yaml", RunningMesh.ServiceYaml("catalog", 80, CatalogPort)),
            ("front.yaml", RunningMesh.ServiceYaml("front", 80, frontPort)),
            ("empty.yaml", RunningMesh.ServiceYaml("empty", 80)));
        await Mesh.StartServiceAsync("catalog", CatalogPort, app => app.MapGet("/", () => "ok"));
        var front = await Mesh.StartServiceAsync("front", frontPort, app => app.MapGet("/", () => "front"), b => b.Services.AddHttpClient("front"));
        await Mesh.WaitUntilMeshedAsync("catalog", "front");
        Front = front.Services.GetRequiredService<IHttpClientFactory>().CreateClient("front");
    }

    public ValueTask DisposeAsync() => Mesh.DisposeAsync();
}
