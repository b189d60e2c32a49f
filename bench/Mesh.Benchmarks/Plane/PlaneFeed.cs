using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Mesh.Benchmarks.Plane;

/// <summary>How changes reach the control plane's source.</summary>
internal interface IPlaneFeed : IAsyncDisposable
{
    /// <summary>The serving process' first arguments: which source, and where it finds what it reads.</summary>
    IReadOnlyList<string> Arguments(string scratch);

    /// <summary>Tells a process that has just begun what there is.</summary>
    Task FillAsync(PlaneProcess plane);

    Task ApplyAsync(PlaneProcess plane, PlaneService service, PlaneChange change);

    /// <summary>What shows that one is the namespace's account <see cref="PlaneIdentities.Account"/>.</summary>
    Task<string> TokenAsync(PlaneProcess plane, string ns);

    static async Task<JsonElement> PostAsync(Uri address, string token, string json)
    {
        using var client = new HttpClient { DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) } };
        using var answer = await client.PostAsync(address, new StringContent(json, Encoding.UTF8, "application/json"));
        return JsonDocument.Parse(await answer.EnsureSuccessStatusCode().Content.ReadAsStringAsync()).RootElement;
    }
}

/// <summary>Lines on the process' input.</summary>
internal sealed class PipeFeed(PlaneTopology topology) : IPlaneFeed
{
    public IReadOnlyList<string> Arguments(string scratch) => ["synthetic", "--config", scratch];

    public Task FillAsync(PlaneProcess plane) => plane.WriteAsync(string.Join('\n', topology.Services.Select(Line)) + "\ngo");

    public Task ApplyAsync(PlaneProcess plane, PlaneService service, PlaneChange change) => plane.WriteAsync(Line(service));

    public async Task<string> TokenAsync(PlaneProcess plane, string ns) =>
        (await IPlaneFeed.PostAsync(new Uri(plane.Http, "/api/v1/tokens"), plane.Token, $$"""{"namespace":"{{ns}}","service_account":"{{PlaneIdentities.Account}}"}""")).GetProperty("token").GetString()!;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static string Line(PlaneService service) => $"{service.Namespace} {service.Name} {string.Join(',', service.Addresses)}";
}
