using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Mesh.EndToEnd.Tests.ForeignPeers;

/// <summary>Our client with an identity of its own, which calls any method of a Service with an empty message.</summary>
internal sealed class MeshCaller : IAsyncDisposable
{
    private static readonly Marshaller<byte[]> _bytes = Marshallers.Create<byte[]>(b => b, b => b);
    private readonly IHost _host;
    private readonly GrpcChannel _channel;

    private MeshCaller(IHost host, string target) => (_host, _channel) = (host, MeshChannel.ForAddress(target, host.Services));

    /// <param name="target">Such as <c>xds:///cart.shop.svc.cluster.local:8080</c>.</param>
    public static async Task<MeshCaller> StartAsync(RunningMesh mesh, string account, string target)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(await mesh.SettingsAsync(account));
        builder.Services.AddMesh();
        var host = builder.Build();
        await host.StartAsync();
        return new MeshCaller(host, target);
    }

    public async Task<(StatusCode Code, string Text)> CallAsync(string path, params (string Name, string Value)[] headers)
    {
        var slash = path.LastIndexOf('/');
        var method = new Method<byte[], byte[]>(MethodType.Unary, path[1..slash], path[(slash + 1)..], _bytes, _bytes);
        var metadata = new Metadata();
        foreach (var (name, value) in headers)
        {
            metadata.Add(name, value);
        }

        try
        {
            return (StatusCode.OK, Encoding.UTF8.GetString(await _channel.CreateCallInvoker().AsyncUnaryCall(method, null, new CallOptions(metadata, DateTime.UtcNow.AddSeconds(20)), [])));
        }
        catch (RpcException e)
        {
            return (e.StatusCode, e.Status.Detail);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _host.StopAsync();
        _host.Dispose();
    }
}
