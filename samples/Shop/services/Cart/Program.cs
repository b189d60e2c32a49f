using Grpc.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Shop.Contracts;

var builder = WebApplication.CreateBuilder(args);
// gRPC without TLS of its own needs HTTP/2 by prior knowledge.
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureEndpointDefaults(endpoint => endpoint.Protocols = HttpProtocols.Http2));
builder.WebHost.UseMesh();
builder.Services.AddGrpc();

var app = builder.Build();
app.MapGrpcService<CartService>();
await app.RunAsync();

internal sealed class CartService : Cart.CartBase
{
    private static readonly string _replica = $"cart-{Environment.ProcessId}";

    public override Task<GetCartReply> GetCart(GetCartRequest request, ServerCallContext context) =>
        Task.FromResult(new GetCartReply { ProductIds = { "1", "2", "3" }, Replica = _replica });
}
