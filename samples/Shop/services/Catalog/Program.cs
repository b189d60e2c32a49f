
var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseMesh();

var app = builder.Build();
var extraDelay = TimeSpan.Zero;

app.MapGet("/products/{id:int}", async (int id, CancellationToken cancelled) =>
{
    var delay = extraDelay;
    if (delay > TimeSpan.Zero)
    {
        await Task.Delay(delay, cancelled);
    }

    return new Product(id, $"Product {id}");
});

// The story's lever: this replica answers later from now on. Reachable on the admin port, which the mesh leaves alone.
app.MapPost("/slow", (int ms) =>
{
    extraDelay = TimeSpan.FromMilliseconds(Math.Clamp(ms, 0, 10_000));
    return Results.NoContent();
});

app.MapGet("/healthz", () => "ok");
await app.RunAsync();

internal sealed record Product(int Id, string Name);
