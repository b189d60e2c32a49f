using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Telemetry;
using Mesh.Testing;
using Mesh.Traffic;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace Mesh.Server.Tests;

/// <summary>One service of a chain: serves HTTP and gRPC with UseMesh(), calls the next one with AddMesh().</summary>
internal sealed class Hop : IAsyncDisposable
{
    private readonly List<TimeSpan?> _left = [];
    private MetricCollector<long>? _exceeded;
    private MetricCollector<long>? _cancelled;

    public MeshApp App { get; private set; } = null!;

    public string Address => $"127.0.0.1:{App.Port}";

    /// <summary>What each request had left when the app got it.</summary>
    public IReadOnlyList<TimeSpan?> Left
    {
        get
        {
            lock (_left)
            {
                return [.. _left];
            }
        }
    }

    /// <summary>The answer.</summary>
    public Func<HttpContext, Task<string>> Work { get; set; } = _ => Task.FromResult("ok");

    public long Exceeded => _exceeded!.GetMeasurementSnapshot().Sum(m => m.Value);

    public long Cancelled => _cancelled!.GetMeasurementSnapshot().Sum(m => m.Value);

    public static async Task<Hop> StartAsync(TestCa ca, Hop? next, Action<IServiceCollection>? configure = null)
    {
        var hop = new Hop();
        hop.App = await MeshApp.StartAsync(
            ca,
            routes: app =>
            {
                app.MapGet("/work", (Delegate)((HttpContext context) => hop.ServeAsync(context)));
                app.MapGet("/relay", (Delegate)((HttpContext context) => hop.RelayAsync(context)));
                app.MapGrpcService<HopService>();
            },
            services: services =>
            {
                services.AddSingleton(hop);
                services.AddGrpc();
                services.AddHttpClient();
                services.AddMesh();
                configure?.Invoke(services);
            });
        var snapshot = MeshApp.Inbound(hop.Address);
        if (next is not null)
        {
            var endpoint = new Mesh.Config.Endpoint("127.0.0.1", next.App.Port, 1, true)
            {
                Tls = EndpointTls.Mesh,
                SpiffeId = next.App.Identity.Current!.Svid.Id,
                SpeaksHttp2 = true,
            };
            snapshot = snapshot with
            {
                Listeners = snapshot.Listeners.Add("next", new ListenerResult.Found(
                    new Listener("next") { Api = new HttpConnectionManager("next", null, null) },
                    new RouteConfiguration("next", [new VirtualHost("next", ["*"], [new Route("all", new RouteMatch(null, [], null), new RouteAction.Forward([new("next", 1)]))])]))),
                Clusters = ImmutableDictionary<string, ClusterResult>.Empty.Add("next", new ClusterResult.Found(
                    new Cluster("next", "next", TimeSpan.FromSeconds(2)), new LoadAssignment("next", [new(new("", "", ""), 0, 1, [endpoint])]))),
            };
        }

        hop.App.Config.Set(snapshot);
        var meters = hop.App.Services.GetRequiredService<IMeterFactory>();
        hop._exceeded = new MetricCollector<long>(meters, "Mesh", MeshTags.ServerDeadlineExceeded);
        hop._cancelled = new MetricCollector<long>(meters, "Mesh", MeshTags.ServerCancelled);
        return hop;
    }

    public Task<string> ServeAsync(HttpContext context)
    {
        lock (_left)
        {
            _left.Add(Deadline.Current?.Left);
        }

        return Work(context);
    }

    /// <summary>Asks the next one, and answers as it does.</summary>
    private async Task<string> RelayAsync(HttpContext context)
    {
        using var client = App.Services.GetRequiredService<IHttpClientFactory>().CreateClient();
        using var response = await client.GetAsync(new Uri("http://next/work"), context.RequestAborted);
        context.Response.StatusCode = (int)response.StatusCode;
        return await response.Content.ReadAsStringAsync(context.RequestAborted);
    }

    /// <summary>A caller outside of the mesh, without a trace but for what its headers say.</summary>
    public async Task ServeRootAsync(CancellationToken cancellationToken, params (string Name, string Value)[] headers)
    {
        using var client = new HttpClient(new SocketsHttpHandler { ActivityHeadersPropagator = null, UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{Address}/relay");
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await client.SendAsync(request, cancellationToken);
    }

    public void Forget()
    {
        lock (_left)
        {
            _left.Clear();
        }
    }

    /// <summary>Asks the next one; hands it neither token nor deadline: that is the mesh's part.</summary>
    public async Task<string> AskNextAsync()
    {
        using var client = App.Services.GetRequiredService<IHttpClientFactory>().CreateClient();
        return await client.GetStringAsync(new Uri("http://next/work"), CancellationToken.None);
    }

    /// <inheritdoc cref="AskNextAsync"/>
    public async Task<string> AskNextByGrpcAsync()
    {
        using var channel = MeshChannel.ForAddress("xds:///next", App.Services);
        return await channel.CreateCallInvoker().AsyncUnaryCall(HopService.AskMethod, null, default, "x");
    }

    /// <summary>An app that never answers by itself.</summary>
    public static async Task<string> HangAsync(HttpContext context)
    {
        await new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);
        return "never";
    }

    public async ValueTask DisposeAsync()
    {
        _exceeded?.Dispose();
        _cancelled?.Dispose();
        if (App is not null)
        {
            await App.DisposeAsync();
        }
    }
}

/// <summary>A hop's gRPC face, bound by hand.</summary>
internal sealed class HopService(Hop hop) : HopBase
{
    public static readonly Method<string, string> AskMethod = new(MethodType.Unary, "test.Hop", "Ask", Marshallers.StringMarshaller, Marshallers.StringMarshaller);

    public override Task<string> Ask(string text, ServerCallContext context) => hop.ServeAsync(context.GetHttpContext());
}

/// <summary>What generated code would be.</summary>
[BindServiceMethod(typeof(HopBase), nameof(Bind))]
internal abstract class HopBase
{
    public static void Bind(ServiceBinderBase binder, HopBase? service) => binder.AddMethod(HopService.AskMethod, (UnaryServerMethod<string, string>)null!);

    public abstract Task<string> Ask(string text, ServerCallContext context);
}
