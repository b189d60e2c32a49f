using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Server;

/// <summary>The app's server and, beside it, a second Kestrel that serves the same app to the connections that turned out to be mesh TLS.</summary>
/// <remarks>Two servers, because an endpoint's protocols and TLS are fixed per endpoint: the app's stay as they are, byte for byte. With the mesh off, or under another server than Kestrel, only the app's runs.</remarks>
internal sealed class MeshServer(
    IServer inner, MeshGate gate, IOptions<KestrelServerOptions> appOptions, IServiceProvider services, ILoggerFactory loggers) : IServer
{
    private KestrelServer? _mesh;

    /// <summary>The app's: its addresses are all that anyone sees.</summary>
    public IFeatureCollection Features => inner.Features;

    public static bool IsKestrel(IServer server) => server.GetType().Assembly == typeof(KestrelServer).Assembly;

    public async Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken)
        where TContext : notnull
    {
        if (!gate.IsOn || !IsKestrel(inner))
        {
            await inner.StartAsync(application, cancellationToken).ConfigureAwait(false);
            return;
        }

        gate.Open();
        await inner.StartAsync(application, cancellationToken).ConfigureAwait(false);
        _mesh = new KestrelServer(Options.Create(MeshOptions()), gate.MeshConnections, loggers);
        await _mesh.StartAsync(application, cancellationToken).ConfigureAwait(false);
        gate.Started(inner.Features.Get<IServerAddressesFeature>());
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        gate.Stopping();
        // At the same time: the app's listeners close while requests of both finish.
        return Task.WhenAll(StopMeshAsync(cancellationToken), inner.StopAsync(cancellationToken));
    }

    public void Dispose()
    {
        gate.Stopping();
        _mesh?.Dispose();
        gate.Stopped();
    }

    private async Task StopMeshAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (_mesh is not null)
            {
                await _mesh.StopAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            gate.Stopped();
        }
    }

    private KestrelServerOptions MeshOptions()
    {
        var options = MeshKestrelOptions.From(appOptions.Value, services);
        options.Listen(gate.MeshConnections.EndPoint, services.GetRequiredService<MeshTlsEndpoint>().Configure);
        return options;
    }
}
