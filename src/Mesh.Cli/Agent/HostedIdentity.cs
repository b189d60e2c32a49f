using System.Globalization;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Cli.Agent;

/// <summary>The library's own start-up, with no client and no server: so that an agent joins, renews and follows rotations exactly as a .NET workload does.</summary>
internal static class HostedIdentity
{
    public static async Task<OpenedIdentity> OpenAsync(MeshOptions options, CancellationToken cancellationToken)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Mesh:ControlPlane"] = options.ControlPlane,
            ["Mesh:TrustBundle"] = options.TrustBundle,
            ["Mesh:Token"] = options.Token,
            ["Mesh:TokenFile"] = options.TokenFile,
            ["Mesh:Namespace"] = options.Namespace,
            ["Mesh:ServiceAccount"] = options.ServiceAccount,
            ["Mesh:TrustDomain"] = options.TrustDomain,
            ["Mesh:TelemetryInterval"] = options.TelemetryInterval.ToString("c", CultureInfo.InvariantCulture),
        });
        // stdout is for data: what the library has to say goes to stderr.
        builder.Logging.AddFilter(level => level >= LogLevel.Warning);
        builder.Logging.AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.Services.AddMeshCore();
        var host = builder.Build();
        var lifetime = new HostLifetime(host);
        try
        {
            await host.StartAsync(cancellationToken);
            return new OpenedIdentity(host.Services.GetRequiredService<IWorkloadIdentitySource>(), host.Services.GetRequiredService<IConfigSource>(), lifetime);
        }
        catch
        {
            await lifetime.DisposeAsync();
            throw;
        }
    }

    private sealed class HostLifetime(IHost host) : IAsyncDisposable
    {
        private static readonly TimeSpan _limit = TimeSpan.FromSeconds(5);

        public async ValueTask DisposeAsync()
        {
            using var limited = new CancellationTokenSource(_limit);
            await host.StopAsync(limited.Token);
            if (host is IAsyncDisposable disposable)
            {
                await disposable.DisposeAsync();
            }
        }
    }
}
