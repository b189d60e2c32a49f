using System.Net;
using System.Security.Cryptography;
using System.Text;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.Install;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Mesh.Cli.Cluster;

/// <summary>A port of this machine that leads to the cluster's control plane, for a browser: on loopback, and to whoever has the token of this run.</summary>
internal sealed class DashboardForwarder : IAsyncDisposable
{
    private const string Scheme = "Bearer ";

    /// <summary>What a browser sends that the control plane needs, beside what is in the body.</summary>
    private static readonly string[] Passed = ["Accept", "Accept-Language", "Last-Event-ID"];

    private readonly WebApplication _app;
    private readonly HttpMessageInvoker _cluster;
    private readonly byte[] _token;
    private readonly HostNames _hosts = new("mesh-system", "cluster.local", []);

    private DashboardForwarder(WebApplication app, ServiceProxy cluster)
    {
        (_app, _cluster) = (app, new HttpMessageInvoker(cluster));
        Token = AdminToken.New();
        _token = SHA256.HashData(Encoding.UTF8.GetBytes(Token));
    }

    /// <summary>Of this run; nothing else opens the way.</summary>
    public string Token { get; }

    public Uri Address { get; private set; } = null!;

    /// <exception cref="CliException">The port is taken.</exception>
    public static async Task<DashboardForwarder> StartAsync(int port, ServiceProxy cluster, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(IPAddress.Loopback, port);
        });
        // Signals are the command's.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        var app = builder.Build();
        var forwarder = new DashboardForwarder(app, cluster);
        app.Run(forwarder.HandleAsync);
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (IOException e)
        {
            await forwarder.DisposeAsync();
            throw new CliException(ExitCodes.Failure, $"port {port} of this machine can't be used", e.Message, "--port N, or --port 0 for any free one", e);
        }

        forwarder.Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        return forwarder;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _cluster.Dispose();
    }

    private async Task HandleAsync(HttpContext context)
    {
        if (!_hosts.IsOwn(context.Request.Host.Host))
        {
            await RefuseAsync(context, StatusCodes.Status421MisdirectedRequest, "Not here", "Ask by the address that 'mesh dashboard' printed.");
            return;
        }

        if (context.Request.Path.StartsWithSegments(ApiGate.Root) && !IsOurs(context.Request.Headers.Authorization.ToString()))
        {
            await RefuseAsync(context, StatusCodes.Status401Unauthorized, "Not permitted", "Open the link that 'mesh dashboard' printed: its token is of this run.");
            return;
        }

        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), $"http://{InstallManifest.Name}.{InstallManifest.Namespace}{context.Request.Path.ToUriComponent()}{context.Request.QueryString}");
        if (context.Request.ContentLength > 0)
        {
            request.Content = new StreamContent(context.Request.Body);
            request.Content.Headers.TryAddWithoutValidation("Content-Type", context.Request.ContentType ?? "application/json");
        }

        foreach (var name in Passed)
        {
            if (context.Request.Headers.TryGetValue(name, out var value))
            {
                request.Headers.TryAddWithoutValidation(name, value.ToString());
            }
        }

        try
        {
            using var answer = await _cluster.SendAsync(request, context.RequestAborted);
            await CopyAsync(answer, context);
        }
        catch (CliException e) when (!context.Response.HasStarted)
        {
            await RefuseAsync(context, StatusCodes.Status502BadGateway, e.Message, $"{e.Why}; {e.Fix}");
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The browser went.
        }
    }

    private static async Task CopyAsync(HttpResponseMessage answer, HttpContext context)
    {
        context.Response.StatusCode = (int)answer.StatusCode;
        foreach (var (name, values) in answer.Headers.Concat(answer.Content.Headers).Where(h => h.Key is not ("Transfer-Encoding" or "Connection" or "Keep-Alive" or "Server" or "Date")))
        {
            context.Response.Headers[name] = values.ToArray();
        }

        var buffer = new byte[16 * 1024];
        await using var body = await answer.Content.ReadAsStreamAsync(context.RequestAborted);
        // Events go on as they come.
        for (int read; (read = await body.ReadAsync(buffer, context.RequestAborted)) > 0;)
        {
            await context.Response.Body.WriteAsync(buffer.AsMemory(0, read), context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
        }
    }

    private static Task RefuseAsync(HttpContext context, int status, string title, string detail)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(new { title, status, detail }, options: null, contentType: "application/problem+json", context.RequestAborted);
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private bool IsOurs(string header) =>
        header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) && CryptographicOperations.FixedTimeEquals(_token, SHA256.HashData(Encoding.UTF8.GetBytes(header[Scheme.Length..].Trim())));
}
