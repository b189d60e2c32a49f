using System.Diagnostics;
using System.Globalization;
using System.Net;
using Mesh.Config;
using Mesh.Identity;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Benchmarks;

/// <summary>The serving side: 256 B to every request, plain Kestrel over mutual TLS or the same app with UseMesh(), without or with limits or access rules.</summary>
internal static class HopServer
{
    private static readonly byte[] Answer = new byte[256];

    public static async Task<int> RunAsync(string kind, string folder)
    {
        var identity = Certificates.Load(folder).Server;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var source = new InMemoryConfigSource();
        var filters = Filters(kind);
        if (kind == "mesh" || filters.Count > 0)
        {
            builder.Services.AddBenchMesh(source, identity, "server");
            builder.WebHost.UseMesh();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
        }
        else
        {
            var options = MeshTls.ForServer(identity, Console.Error.WriteLine);
            builder.WebHost.UseKestrelHttpsConfiguration();
            builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l =>
            {
                l.Protocols = HttpProtocols.Http1AndHttp2;
                l.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => ValueTask.FromResult(options) });
            }));
        }

        await using var app = builder.Build();
        app.Run(context =>
        {
            context.Response.ContentLength = Answer.Length;
            return context.Response.Body.WriteAsync(Answer).AsTask();
        });
        await app.StartAsync();
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        if (filters.Count > 0)
        {
            source.Set(HopSnapshot.Inbound(new Uri(address).Authority, filters));
        }

        Console.WriteLine(new Uri(address).Port.ToString(CultureInfo.InvariantCulture));
        var self = Process.GetCurrentProcess();
        while (await Console.In.ReadLineAsync() is not null)
        {
            self.Refresh();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{self.TotalProcessorTime.Ticks} {GC.GetTotalAllocatedBytes(precise: true)}"));
        }

        await app.StopAsync();
        return 0;
    }

    private static IReadOnlyList<HttpFilter> Filters(string kind) =>
        kind == "limits" ? [new HttpFilter("io.meshlib.limits", LimitsBench.Wide)]
        : kind.StartsWith(AuthzBench.Prefix, StringComparison.Ordinal) ? AuthzBench.Filters(int.Parse(kind[AuthzBench.Prefix.Length..], CultureInfo.InvariantCulture))
        : [];
}
