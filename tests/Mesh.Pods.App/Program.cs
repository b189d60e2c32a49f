using Mesh.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

// A .NET service with the mesh in its process: says what it saw of a request, and calls others when it is told to.
var builder = WebApplication.CreateSlimBuilder(args);
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.WebHost.UseMesh();
builder.Services.AddMesh().AddHttpClient("mesh");
await using var app = builder.Build();
app.Map("/seen", (HttpContext context) => new
{
    line = $"{context.Request.Method} {context.Request.Path}{context.Request.QueryString} {context.Request.Protocol}",
    scheme = context.Request.Scheme,
    host = context.Request.Host.Value,
    peer = context.Features.Get<MeshPeerFeature>()?.Id.ToString(),
    original = context.Request.Headers["mesh-orig-proto"].ToString(),
});
app.MapGet("/call", async (string url, string version, HttpVersionPolicy policy, IHttpClientFactory clients) =>
{
    using var client = clients.CreateClient("mesh");
    using var request = new HttpRequestMessage(HttpMethod.Get, url) { Version = Version.Parse(version), VersionPolicy = policy };
    using var response = await client.SendAsync(request);
    return Results.Json(new { status = (int)response.StatusCode, version = response.Version.ToString(), body = await response.Content.ReadAsStringAsync() });
});
app.MapMeshMetrics();
app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine("serving"));
await app.RunAsync();
