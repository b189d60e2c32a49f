using Mesh.Server;

// In the mesh without a sidecar: these two lines, and the Mesh__* settings in compose.yaml.
var builder = WebApplication.CreateBuilder(args);
builder.Services.AddMesh();
builder.WebHost.UseMesh();

var next = builder.Configuration["Next"] ?? "http://node:8080";
builder.Services.AddHttpClient("next", client => client.BaseAddress = new Uri(next));

var app = builder.Build();

app.MapGet("/", async (HttpContext context, IHttpClientFactory clients, string? note, CancellationToken cancelled) =>
{
    using var client = clients.CreateClient("next");
    using var response = await client.GetAsync($"/name?note={Uri.EscapeDataString(note ?? "")}", cancelled);
    var asked = await response.Content.ReadAsStringAsync(cancelled);
    return response.IsSuccessStatusCode
        ? Results.Json(new Answer(Environment.Version.ToString(), Caller(context), note, System.Text.Json.Nodes.JsonNode.Parse(asked)))
        : Results.Json(new Failure($"{next} answered {(int)response.StatusCode}: {asked}"), statusCode: StatusCodes.Status502BadGateway);
});
app.MapGet("/healthz", () => "ok");
await app.RunAsync();

// Who calls is what its certificate proves, whatever language it is written in.
static string Caller(HttpContext context) => context.Features.Get<MeshPeerFeature>()?.Id.ToString() ?? "unknown";

internal sealed record Answer(string Dotnet, string Caller, string? Note, System.Text.Json.Nodes.JsonNode? Asked);

internal sealed record Failure(string Error);
