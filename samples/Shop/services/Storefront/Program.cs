using Grpc.Core;
using Shop.Contracts;
using Shop.Storefront;

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddMesh();
builder.WebHost.UseMesh();

builder.Services.AddHttpClient<CatalogClient>(client => client.BaseAddress = new Uri("http://catalog"));
builder.Services.AddHttpClient<PaymentsClient>(client => client.BaseAddress = new Uri("http://payments"));
builder.Services.AddGrpcClient<Cart.CartClient>(client => client.Address = new Uri("http://cart"));
builder.Services.AddGrpcClient<Pricing.PricingClient>(client => client.Address = new Uri("http://pricing"));

var app = builder.Build();
var lastOrder = 0L;

// One request of a customer is four of the shop.
app.MapGet("/products/{id:int}", async (
    int id, CatalogClient catalog, PaymentsClient payments, Cart.CartClient cart, Pricing.PricingClient pricing, ILogger<Program> logger, CancellationToken cancelled) =>
{
    try
    {
        var product = catalog.GetProductAsync(id, cancelled);
        var price = pricing.GetPriceAsync(new GetPriceRequest { ProductId = $"{id}" }, cancellationToken: cancelled).ResponseAsync;
        var inCart = cart.GetCartAsync(new GetCartRequest { Customer = "you" }, cancellationToken: cancelled).ResponseAsync;
        var payment = payments.AuthorizeAsync(Interlocked.Increment(ref lastOrder), cancelled);
        await Task.WhenAll(product, price, inCart, payment);
        return Results.Ok(new Page((await product).Name, (await price).Cents, (await price).Version, (await inCart).ProductIds.Count, (await payment).State));
    }
    catch (Exception failure) when (failure is HttpRequestException or RpcException)
    {
        logger.LogError(failure, "The page of product {Product} could not be made", id);
        return Results.Problem(failure.Message, statusCode: StatusCodes.Status502BadGateway);
    }
});

app.MapGet("/healthz", () => "ok");
await app.RunAsync();

internal sealed record Page(string Product, long Cents, string PricedBy, int InCart, string Payment);
