using Mesh.Client;

#pragma warning disable IDE0130 // beside GrpcChannel, which it extends
namespace Grpc.Net.Client;
#pragma warning restore IDE0130

/// <summary>Lets a gRPC channel made by hand join the mesh. Clients of <c>AddGrpcClient</c> need nothing.</summary>
public static class MeshGrpcExtensions
{
    /// <summary>Sends the channel's calls through the mesh; the address is the service's own, such as <c>http://cart</c>. Without configuration of the mesh nothing changes.</summary>
    /// <param name="options">The channel's options. A handler that is set already serves the hosts that the mesh does not know.</param>
    /// <param name="services">The program's services, with <c>AddMesh()</c>.</param>
    /// <returns><paramref name="options"/>.</returns>
    /// <exception cref="InvalidOperationException">The services lack <c>AddMesh()</c>.</exception>
    public static GrpcChannelOptions UseMesh(this GrpcChannelOptions options, IServiceProvider services)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(services);
        if (MeshHandlers.Create(services, options.HttpHandler) is { } handler)
        {
            options.HttpHandler = handler;
            options.DisposeHttpClient = true;
        }

        return options;
    }
}

/// <summary>Makes gRPC channels of the mesh.</summary>
public static class MeshChannel
{
    /// <summary>A channel to a service by its mesh name, such as <c>xds:///cart</c> or <c>http://cart</c>.</summary>
    /// <param name="address">The service. <c>xds:///</c> is read as gRPC reads it: the path is the name.</param>
    /// <param name="services">The program's services, with <c>AddMesh()</c>.</param>
    /// <param name="options">Further options; the handler is set here.</param>
    /// <exception cref="FormatException">The address is none.</exception>
    /// <exception cref="InvalidOperationException">The services lack <c>AddMesh()</c>.</exception>
    public static GrpcChannel ForAddress(string address, IServiceProvider services, GrpcChannelOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(address);
        const string xds = "xds:///";
        if (address.StartsWith(xds, StringComparison.Ordinal))
        {
            address = "http://" + address[xds.Length..];
        }

        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Host.Length == 0)
        {
            throw new FormatException($"'{address}' is no address of a service. Write xds:///name, xds:///name.namespace:port or http://name.");
        }

        return GrpcChannel.ForAddress(uri, (options ?? new GrpcChannelOptions()).UseMesh(services));
    }
}
