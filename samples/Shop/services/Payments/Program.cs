using Shop.Payments;

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseMesh();
builder.Services.AddSingleton(new RefusalLedger(
    builder.Configuration["Payments:Ledger"] ?? Path.Combine(Path.GetTempPath(), $"shop-payments-{Environment.ProcessId}")));

var app = builder.Build();

// Idempotent: the same id authorizes the same payment, however often it is asked.
app.MapPut("/authorizations/{id:long}", (long id, RefusalLedger ledger) =>
    ledger.Refuses(id) ? Results.StatusCode(StatusCodes.Status503ServiceUnavailable) : Results.Ok(new Authorization(id, "authorized")));

app.MapGet("/healthz", () => "ok");
await app.RunAsync();

internal sealed record Authorization(long Id, string State);
