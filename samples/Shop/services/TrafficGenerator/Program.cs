// The shop's customers. Not in the mesh: a plain HttpClient that knows one address.
using Shop.TrafficGenerator;

var builder = WebApplication.CreateBuilder(args);
var target = new Uri(builder.Configuration["Traffic:Target"]
    ?? throw new InvalidOperationException("Traffic:Target is not set. Give the storefront's address, such as Traffic__Target=http://127.0.0.1:8080."));
var customers = builder.Configuration.GetValue("Traffic:Customers", 8);
var pause = TimeSpan.FromMilliseconds(builder.Configuration.GetValue("Traffic:PauseMs", 20));

var app = builder.Build();
using var http = new HttpClient { BaseAddress = target, Timeout = TimeSpan.FromSeconds(15) };
using var traffic = new Traffic(http, customers, pause, TimeProvider.System);

app.MapGet("/stats", () => traffic.Stats);
app.MapPost("/stop", async () =>
{
    await traffic.StopAsync();
    return traffic.Stats;
});
app.Lifetime.ApplicationStarted.Register(traffic.Start);
await app.RunAsync();
await traffic.StopAsync();
