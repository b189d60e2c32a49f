using Mesh.Hosting;
using Mesh.Outbound;
using Microsoft.Extensions.DependencyInjection;

namespace Mesh.Client;

/// <summary>Handlers for clients that no factory makes.</summary>
internal static class MeshHandlers
{
    /// <summary>Null when the mesh is off.</summary>
    /// <exception cref="InvalidOperationException">The services lack <c>AddMesh()</c>.</exception>
    public static HttpMessageHandler? Create(IServiceProvider services, HttpMessageHandler? own)
    {
        var activation = services.GetService<MeshActivation>()
            ?? throw new InvalidOperationException("The services have no mesh. Call services.AddMesh() where the program's services are registered.");
        return activation.IsOn
            ? new MeshHttpHandler(
                services.GetRequiredService<OutboundPipeline>(),
                own ?? new SocketsHttpHandler { EnableMultipleHttp2Connections = true },
                services.GetRequiredService<ClientLimitsFactory>().Create(string.Empty, []))
            : null;
    }
}
