using System.Diagnostics.Metrics;
using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Inbound;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace Mesh.Server.Tests;

/// <summary>An app with inbound limits whose requests, over HTTP and gRPC, stay inside until the test lets them go.</summary>
internal sealed class LimitedApp : IAsyncDisposable
{
    private static readonly SpiffeId _cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private readonly TestCa _ca;
    private readonly MetricCollector<long> _decisions;
    private readonly MetricCollector<long> _cancelled;
    private readonly MetricCollector<long> _exceeded;
    private readonly InboundAddress _address;

    private LimitedApp(TestCa ca, MeshApp app, Room room)
    {
        (_ca, App, Room) = (ca, app, room);
        _address = app.Services.GetRequiredService<InboundTable>().Open(new IPEndPoint(IPAddress.Loopback, app.Port));
        var meters = app.Services.GetRequiredService<IMeterFactory>();
        _decisions = new MetricCollector<long>(meters, "Mesh", MeshTags.ServerDecisions);
        _cancelled = new MetricCollector<long>(meters, "Mesh", MeshTags.ServerCancelled);
        _exceeded = new MetricCollector<long>(meters, "Mesh", MeshTags.ServerDeadlineExceeded);
    }

    public MeshApp App { get; }

    public Room Room { get; }

    public string Address => $"127.0.0.1:{App.Port}";

    public Uri Url => new($"http://{Address}/work");

    /// <summary>Requests in the queue.</summary>
    public int Waiting => _address.Policy?.States?.Gates.Sum(g => g.Waiting) ?? 0;

    public long Cancelled => _cancelled.GetMeasurementSnapshot().Sum(m => m.Value);

    public long Exceeded => _exceeded.GetMeasurementSnapshot().Sum(m => m.Value);

    public static async Task<LimitedApp> StartAsync(TestCa ca, InboundLimits? limits, Action<MeshServerOptions>? options = null, Action<IServiceCollection>? services = null)
    {
        var room = new Room();
        var app = await MeshApp.StartAsync(
            ca,
            routes: routes =>
            {
                routes.MapGet("/work", (Delegate)((HttpContext context) => room.WorkAsync(context.RequestAborted)));
                routes.MapGrpcService<WorkService>();
            },
            services: collection =>
            {
                collection.AddSingleton(room);
                collection.AddGrpc();
                collection.Configure<MeshOptions>(o => options?.Invoke(o.Server));
                services?.Invoke(collection);
            });
        var limited = new LimitedApp(ca, app, room);
        limited.Publish(limits);
        return limited;
    }

    public void Publish(InboundLimits? limits) =>
        PublishHttp(limits is null ? null : new HttpConnectionManager(null, null, null) { Filters = [new HttpFilter("io.meshlib.limits", limits)] });

    /// <summary>The same for requests of every kind.</summary>
    public void PublishHttp(HttpConnectionManager? http, bool plaintext = true) => PublishChains(App, c => c with { Http = http }, plaintext);

    public static void PublishChains(MeshApp app, Func<FilterChain, FilterChain> change, bool plaintext = true)
    {
        var snapshot = MeshApp.Inbound($"127.0.0.1:{app.Port}", plaintext);
        var name = snapshot.Listeners.Keys.Single();
        var listener = ((ListenerResult.Found)snapshot.Listeners[name]).Listener;
        app.Config.Set(snapshot with
        {
            Listeners = snapshot.Listeners.SetItem(name, new ListenerResult.Found(listener with { FilterChains = [.. listener.FilterChains.Select(change)] }, null)),
        });
    }

    /// <summary>A client over mesh TLS; <c>null</c> is plaintext HTTP/1.1.</summary>
    public HttpClient Client(string? version, string caller = "web") => version is null
        ? new HttpClient { Timeout = TimeSpan.FromSeconds(15) }
        : MeshApp.MeshClient(_ca.Identity("shop", caller), _cart, Version.Parse(version));

    public GrpcChannel Channel(HttpClient client) => GrpcChannel.ForAddress($"http://{Address}", new GrpcChannelOptions { HttpClient = client });

    public long Decided(string decision, string? reason = null) => _decisions.GetMeasurementSnapshot()
        .Where(m => Equals(m.Tags[MeshTags.Decision], decision) && (reason is null || Equals(m.Tags[MeshTags.Reason], reason))).Sum(m => m.Value);

    public async ValueTask DisposeAsync()
    {
        Room.Open();
        _decisions.Dispose();
        _cancelled.Dispose();
        _exceeded.Dispose();
        await App.DisposeAsync();
    }
}

/// <summary>Where the app's requests are; closed, it keeps them until it opens.</summary>
internal sealed class Room
{
    private readonly Lock _lock = new();
    private TaskCompletionSource _door = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _inside;
    private int _entered;
    private int _most;

    public Room() => Open();

    public int Inside => Volatile.Read(ref _inside);

    /// <summary>All that ever came in.</summary>
    public int Entered => Volatile.Read(ref _entered);

    /// <summary>Most at once.</summary>
    public int Most => Volatile.Read(ref _most);

    public void Open() => _door.TrySetResult();

    public void Close() => _door = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public async Task<string> WorkAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _entered++;
            _most = Math.Max(_most, ++_inside);
        }

        try
        {
            await Task.Yield();
            await _door.Task.WaitAsync(cancellationToken);
            return "done";
        }
        finally
        {
            lock (_lock)
            {
                _inside--;
            }
        }
    }
}

/// <summary>The same room over gRPC, bound by hand.</summary>
internal sealed class WorkService(Room room) : WorkBase
{
    public static readonly Method<string, string> UnaryMethod = new(MethodType.Unary, "test.Work", "Unary", Marshallers.StringMarshaller, Marshallers.StringMarshaller);
    public static readonly Method<string, string> StreamMethod = new(MethodType.ServerStreaming, "test.Work", "Stream", Marshallers.StringMarshaller, Marshallers.StringMarshaller);
    public static readonly Method<string, string> DuplexMethod = new(MethodType.DuplexStreaming, "test.Work", "Duplex", Marshallers.StringMarshaller, Marshallers.StringMarshaller);

    public override Task<string> Unary(string text, ServerCallContext context) => room.WorkAsync(context.CancellationToken);

    public override async Task Stream(string text, IServerStreamWriter<string> responses, ServerCallContext context)
    {
        await responses.WriteAsync("begun");
        await responses.WriteAsync(await room.WorkAsync(context.CancellationToken));
    }

    public override async Task Duplex(IAsyncStreamReader<string> requests, IServerStreamWriter<string> responses, ServerCallContext context)
    {
        while (await requests.MoveNext(context.CancellationToken))
        {
            await responses.WriteAsync(requests.Current);
        }
    }
}

/// <summary>What generated code would be.</summary>
[BindServiceMethod(typeof(WorkBase), nameof(Bind))]
internal abstract class WorkBase
{
    public static void Bind(ServiceBinderBase binder, WorkBase? service)
    {
        binder.AddMethod(WorkService.UnaryMethod, (UnaryServerMethod<string, string>)null!);
        binder.AddMethod(WorkService.StreamMethod, (ServerStreamingServerMethod<string, string>)null!);
        binder.AddMethod(WorkService.DuplexMethod, (DuplexStreamingServerMethod<string, string>)null!);
    }

    public abstract Task<string> Unary(string text, ServerCallContext context);

    public abstract Task Stream(string text, IServerStreamWriter<string> responses, ServerCallContext context);

    public abstract Task Duplex(IAsyncStreamReader<string> requests, IServerStreamWriter<string> responses, ServerCallContext context);
}
