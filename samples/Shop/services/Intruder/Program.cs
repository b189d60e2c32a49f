// Somebody inside the mesh, with a good certificate, who asks for what is not its business: the story starts it with the cart's identity.
var builder = WebApplication.CreateBuilder(args);
builder.Services.AddMesh();
builder.Services.AddHttpClient("payments", client => client.BaseAddress = new Uri("http://payments"));

var app = builder.Build();

app.MapPost("/ask", async (string path, IHttpClientFactory clients, CancellationToken cancelled) =>
{
    using var response = await clients.CreateClient("payments").PutAsync(new Uri(path, UriKind.Relative), content: null, cancelled);
    return new Answer((int)response.StatusCode, response.Headers.TryGetValues("mesh-error", out var codes) ? string.Join(',', codes) : null);
});

await app.RunAsync();

internal sealed record Answer(int Status, string? MeshError);
