using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Server.Listening;

/// <summary>Binds every endpoint of the app by the transport it has anyway and puts a <see cref="SniffingListener"/> before it.</summary>
/// <remarks>Registered last, so Kestrel asks it first; it takes nothing while the mesh is off.</remarks>
internal sealed class MeshListenerFactory(IServiceProvider services, MeshGate gate, ILoggerFactory loggers) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private IConnectionListenerFactory? _own;

    public bool CanBind(EndPoint endpoint) => gate.IsServing && endpoint switch
    {
        IPEndPoint ip => !gate.ExcludedPorts.Contains(ip.Port),
        UnixDomainSocketEndPoint or FileHandleEndPoint => true,
        _ => false,
    };

    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var bound = await Transport(endpoint).BindAsync(endpoint, cancellationToken).ConfigureAwait(false);
        return new SniffingListener(bound, gate, loggers.CreateLogger<SniffingListener>());
    }

    private IConnectionListenerFactory Transport(EndPoint endpoint)
    {
        // Asked for late: this is one of them.
        foreach (var factory in services.GetServices<IConnectionListenerFactory>().Reverse())
        {
            if (factory != this && (factory is not IConnectionListenerFactorySelector selector || selector.CanBind(endpoint)))
            {
                return factory;
            }
        }

        // UseKestrel() after UseMesh() registers its transport only where there is none yet.
        return _own ??= new SocketTransportFactory(services.GetRequiredService<IOptions<SocketTransportOptions>>(), loggers);
    }
}
