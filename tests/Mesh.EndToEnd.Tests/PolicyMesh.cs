using System.Net;
using System.Text.Json;
using Grpc.Net.Client;
using Mesh.EndToEnd.Tests.Protos;
using Mesh.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>A running mesh for tests of policies: servers that tell why they refuse, and callers of several service accounts.</summary>
/// <param name="ports">Where the services listen, by name.</param>
internal sealed class PolicyMesh(RunningMesh mesh, IReadOnlyDictionary<string, int> ports) : IAsyncDisposable
{
    /// <summary>What a server tells callers of the mesh.</summary>
    public const string Header = "mesh-policy";

    private readonly Dictionary<string, WebApplication> _servers = [];
    private readonly Dictionary<string, IHost> _callers = [];

    public RunningMesh Mesh => mesh;

    public IReadOnlyDictionary<string, int> Ports => ports;

    /// <summary>A mesh of these manifests, with a server for each service and callers of these service accounts; each server is ready.</summary>
    public static async Task<PolicyMesh> StartAsync((string File, string Yaml)[] manifests, string[] services, string[] callers, Action<Dictionary<string, string?>>? change = null)
    {
        var ports = services.ToDictionary(s => s, _ => RunningMesh.FreePort());
        var mesh = new PolicyMesh(await RunningMesh.StartAsync([.. manifests, .. ports.Select(p => ($"{p.Key}.yaml", RunningMesh.ServiceYaml(p.Key, 80, p.Value)))]), ports);
        try
        {
            foreach (var service in services)
            {
                await mesh.ServeAsync(service, change);
            }

            await mesh.CallFromAsync(callers);
            await mesh.Mesh.WaitUntilMeshedAsync(services);
            return mesh;
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }
    }

    public IServiceProvider Server(string service) => _servers[service].Services;

    public HttpClient Client(string caller) => _callers[caller].Services.GetRequiredService<IHttpClientFactory>().CreateClient("mesh");

    public async Task<PolicyAnswer> CallAsync(string caller, string service, string method, string path, params (string Name, string Value)[] headers) =>
        await CallAsync(Client(caller), new Uri($"http://{service}.shop{path}"), method, headers);

    /// <summary>From outside of the mesh, in plaintext.</summary>
    public static async Task<PolicyAnswer> CallOutsideAsync(int port, string path)
    {
        using var client = new HttpClient();
        return await CallAsync(client, new Uri($"http://127.0.0.1:{port}{path}"), "GET", []);
    }

    /// <summary>By gRPC, as <paramref name="caller"/>.</summary>
    public async Task<(Grpc.Core.StatusCode Code, string? Policy)> AskAsync(string caller, string service)
    {
        using var channel = MeshChannel.ForAddress($"http://{service}.shop", _callers[caller].Services);
        using var call = new WhoAmI.WhoAmIClient(channel).AskAsync(new Question(), deadline: DateTime.UtcNow.AddSeconds(20));
        try
        {
            await call;
            return (Grpc.Core.StatusCode.OK, null);
        }
        catch (Grpc.Core.RpcException e)
        {
            // Answered at once, so that all there is are trailers.
            return (e.StatusCode, e.Trailers.GetValue(Header) ?? (await call.ResponseHeadersAsync).GetValue(Header));
        }
    }

    /// <summary>What <c>mesh explain</c> says of the same request.</summary>
    public async Task<JsonElement> ExplainAsync(string caller, string service, string method, string path, params (string Name, string Value)[] headers)
    {
        var asked = string.Concat(headers.Select(h => $"&header={Uri.EscapeDataString($"{h.Name}: {h.Value}")}"));
        var answer = await mesh.Api.GetStringAsync(new Uri(
            $"/api/v1/explain/request?caller=shop/{caller}&service={service}&namespace=shop&method={method}&path={Uri.EscapeDataString(path)}&source=127.0.0.1{asked}", UriKind.Relative));
        using var document = JsonDocument.Parse(answer);
        return document.RootElement.Clone();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var host in _callers.Values)
        {
            await host.StopAsync();
            host.Dispose();
        }

        await mesh.DisposeAsync();
    }

    /// <summary>Starts a server that answers every path with who asked and by which connection, and <c>WhoAmI</c>.</summary>
    private async Task ServeAsync(string service, Action<Dictionary<string, string?>>? change) => _servers[service] = await mesh.StartServiceAsync(
        service,
        ports[service],
        app =>
        {
            app.MapGrpcService<WhoAmIService>();
            app.Map("/{**path}", (HttpContext context) =>
            {
                context.Response.Headers["x-connection"] = context.Connection.Id;
                context.Response.Headers["x-user"] = context.User.Identity?.Name ?? "";
                return $"{context.Features.Get<MeshPeerFeature>()?.Id.ToString() ?? "nobody"}";
            });
        },
        builder =>
        {
            builder.Services.AddGrpc();
            builder.Services.AddSingleton(new WhoAmIService.Replica(service));
            // Denials are told at Information.
            builder.Logging.AddFilter("Mesh.Server.InboundAuthorization", LogLevel.Information);
        },
        settings =>
        {
            settings["Mesh:Server:ExplainDenials"] = "true";
            change?.Invoke(settings);
        });

    /// <summary>Starts workloads that only call.</summary>
    private async Task CallFromAsync(params string[] serviceAccounts)
    {
        foreach (var account in serviceAccounts)
        {
            var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
            builder.Configuration.AddInMemoryCollection(await mesh.SettingsAsync(account));
            builder.Services.AddMesh().AddHttpClient("mesh", c => c.DefaultRequestVersion = HttpVersion.Version20);
            var host = builder.Build();
            _callers.Add(account, host);
            await host.StartAsync();
        }
    }

    private static async Task<PolicyAnswer> CallAsync(HttpClient client, Uri address, string method, (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), address) { Version = client.DefaultRequestVersion };
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }

        using var response = await client.SendAsync(request);
        return new PolicyAnswer(response.StatusCode, Value(response, Header), Value(response, "x-connection"), Value(response, "x-user"), response.Version);
    }

    private static string? Value(HttpResponseMessage response, string name) => response.Headers.TryGetValues(name, out var values) ? Assert.Single(values) : null;
}

/// <param name="Policy">Why it was refused, as the server told.</param>
/// <param name="Connection">The server's name for the connection that it came by.</param>
internal sealed record PolicyAnswer(HttpStatusCode Status, string? Policy, string? Connection, string? User, Version Version);
