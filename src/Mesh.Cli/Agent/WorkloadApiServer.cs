using System.Runtime.Versioning;
using Mesh.Identity;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Mesh.Cli.Agent;

/// <summary>Serves an identity to processes of this machine over the SPIFFE Workload API on a Unix socket.</summary>
/// <remarks>Who may connect is decided by the path's mode and by the user that the kernel names. Linux only.</remarks>
[SupportedOSPlatform("linux")]
internal sealed class WorkloadApiServer : IAsyncDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(2);
    private readonly WebApplication _app;
    private readonly string _path;

    private WorkloadApiServer(WebApplication app, string path) => (_app, _path) = (app, path);

    /// <param name="path">An absolute path in a folder that exists.</param>
    /// <param name="users">Beside this process's own, who may connect; with any, the socket's group may open it, too.</param>
    /// <exception cref="CliException">It cannot be served there.</exception>
    public static async Task<WorkloadApiServer> StartAsync(string path, IReadOnlyCollection<uint> users, IWorkloadIdentitySource source, CliContext context, CancellationToken cancellationToken)
    {
        WorkloadApiSocket.Free(path);
        HashSet<uint> allowed = [WorkloadApiSocket.OwnUid, .. users];
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.Services.Configure<SocketTransportOptions>(sockets => sockets.CreateBoundListenSocket =
            endpoint => WorkloadApiSocket.Bind(endpoint, users.Count == 0 ? OwnerOnly : OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.GroupWrite));
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(path, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.Use(next => async connection =>
            {
                var uid = WorkloadApiSocket.PeerUid(connection.Features.Get<IConnectionSocketFeature>()!.Socket);
                if (allowed.Contains(uid))
                {
                    await next(connection);
                    return;
                }

                await context.Error.WriteLineAsync($"user {uid} asked for the identity at {path} and was refused: --allow-uid does not name it");
                connection.Abort();
            });
        }));
        builder.Services.AddRoutingCore();
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(source);
        // Signals are the command's.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        var app = builder.Build();
        app.MapGrpcService<WorkloadApiService>();
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (Exception error) when (error is IOException or System.Net.Sockets.SocketException or UnauthorizedAccessException or ArgumentException)
        {
            await app.DisposeAsync();
            throw new CliException(ExitCodes.BadInput, $"{path} cannot be served", error.Message, "give --socket a path in a folder that exists and may be written", error);
        }

        return new WorkloadApiServer(app, path);
    }

    public async ValueTask DisposeAsync()
    {
        using var limited = new CancellationTokenSource(_limit);
        await _app.StopAsync(limited.Token);
        await _app.DisposeAsync();
        File.Delete(_path);
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
