using System.Collections.Concurrent;
using System.Net;
using Mesh.Hosting;
using Mesh.Outbound;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Client;

/// <summary>Makes <see cref="MeshHttpHandler"/> the primary handler of every client that takes part, with the client's own primary inside it.</summary>
internal sealed partial class MeshHandlerFilter(
    MeshActivation activation, IServiceProvider services, IOptionsMonitor<MeshClientOptions> clients, ILogger<MeshHandlerFilter> logger) : IHttpMessageHandlerBuilderFilter
{
    private readonly ConcurrentDictionary<string, bool> _warned = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public Action<HttpMessageHandlerBuilder> Configure(Action<HttpMessageHandlerBuilder> next) => builder =>
    {
        next(builder);
        var name = builder.Name ?? string.Empty;
        // Exporters of telemetry must not measure themselves.
        if (!activation.IsOn || name.StartsWith("Otlp", StringComparison.Ordinal) || clients.Get(name).IsDisabled || builder.PrimaryHandler is MeshHttpHandler)
        {
            return;
        }

        WarnOnce(name, builder.PrimaryHandler);
        var limits = services.GetRequiredService<ClientLimitsFactory>().Create(name, builder.AdditionalHandlers);
        builder.PrimaryHandler = new MeshHttpHandler(services.GetRequiredService<OutboundPipeline>(), builder.PrimaryHandler, limits);
    };

    private void WarnOnce(string name, HttpMessageHandler primary)
    {
        List<string> ignored = [];
        switch (primary)
        {
            case SocketsHttpHandler sockets:
                Add(sockets.AutomaticDecompression != DecompressionMethods.None, "AutomaticDecompression");
                Add(sockets.Credentials is not null, "Credentials");
                Add(sockets.UseProxy && sockets.Proxy is not null, "Proxy");
                Add(sockets.ConnectCallback is not null, "ConnectCallback");
                Add(sockets.SslOptions.ClientCertificates is { Count: > 0 } || sockets.SslOptions.RemoteCertificateValidationCallback is not null, "SslOptions");
                break;
            case HttpClientHandler client:
                Add(client.AutomaticDecompression != DecompressionMethods.None, "AutomaticDecompression");
                Add(client.Credentials is not null || client.UseDefaultCredentials, "Credentials");
                Add(client.UseProxy && client.Proxy is not null, "Proxy");
                Add(client.ServerCertificateCustomValidationCallback is not null, "ServerCertificateCustomValidationCallback");
                break;
            default:
                Add(true, $"all of {primary.GetType().Name}");
                break;
        }

        if (ignored.Count > 0 && _warned.TryAdd(name, true))
        {
            Log.SettingsNotApplied(logger, name, string.Join(", ", ignored));
        }

        void Add(bool isSet, string setting)
        {
            if (isSet)
            {
                ignored.Add(setting);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2200, LogLevel.Warning, "Client '{Client}': its primary handler's {Settings} do not apply to calls to services of the mesh, only to other hosts. Use DelegatingHandlers for both, or opt out with DisableMesh()", EventName = nameof(SettingsNotApplied))]
        public static partial void SettingsNotApplied(ILogger logger, string client, string settings);
    }
}
