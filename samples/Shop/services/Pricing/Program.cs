using Grpc.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Shop.Contracts;

var builder = WebApplication.CreateBuilder(args);
// gRPC without TLS of its own needs HTTP/2 by prior knowledge.
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureEndpointDefaults(endpoint => endpoint.Protocols = HttpProtocols.Http2));
builder.WebHost.UseMesh();
builder.Services.AddGrpc();

var app = builder.Build();
app.MapGrpcService<PricingService>();
await app.RunAsync();

internal sealed class PricingService(IConfiguration configuration) : Pricing.PricingBase
{
    private readonly string _version = configuration["Pricing:Version"] ?? "v1";

    public override Task<GetPriceReply> GetPrice(GetPriceRequest request, ServerCallContext context) =>
        Task.FromResult(new GetPriceReply { Cents = 999, Version = _version });
}
