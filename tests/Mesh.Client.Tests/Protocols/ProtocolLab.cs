using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Outbound;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Logging;

namespace Mesh.Client.Tests.Protocols;

/// <summary>How a call travels.</summary>
public enum Protocol
{
    /// <summary>In plaintext.</summary>
    Http1,

    /// <summary>Over mesh TLS, as gRPC below.</summary>
    Http2,
    GrpcUnary,
    GrpcStream,
}

/// <summary>What a backend does with a request.</summary>
internal enum Does
{
    Answer,

    /// <summary>503, or <c>UNAVAILABLE</c>.</summary>
    Refuse,

    /// <summary>500, or <c>INTERNAL</c>.</summary>
    Fail,

    /// <summary>Nothing, until its caller leaves.</summary>
    Hang,
}

/// <summary>What the app got, the same for every protocol.</summary>
internal enum Got
{
    Answer,

    /// <summary>503, or <c>UNAVAILABLE</c>.</summary>
    Unavailable,

    /// <summary>504, or <c>DEADLINE_EXCEEDED</c>.</summary>
    Timeout,
    Other,
}

/// <summary>One service, <c>catalog</c>, on real Kestrels that speak one protocol and behave as told; what the mesh decided is seen in its metric and on the call's span.</summary>
internal sealed class ProtocolLab : IAsyncDisposable
{
    private const string Cluster = "outbound|80||catalog.shop.svc.cluster.local";
    private readonly TestCa _ca = new("cluster.local");
    private readonly List<(WebApplication App, Mesh.Config.Endpoint Endpoint)> _servers = [];
    private readonly ConcurrentQueue<Activity> _calls = [];
    private readonly MeshedProgram _program;
    private readonly MetricCollector<long> _decisions;
    private readonly ActivityListener _listener;
    private readonly Activity _root = new Activity("test").SetIdFormat(ActivityIdFormat.W3C);
    private readonly Protocol _protocol;
    private readonly GrpcChannel? _channel;
    private int _requests;

    private ProtocolLab(Protocol protocol)
    {
        _protocol = protocol;
        _program = new MeshedProgram(_ca);
        _decisions = new MetricCollector<long>(_program.Services.GetRequiredService<IMeterFactory>(), "Mesh", MeshTags.ClientDecisions);
        _root.ActivityTraceFlags = ActivityTraceFlags.Recorded;
        _root.Start();
        var trace = _root.TraceId;
        Activity.Current = null;
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "System.Net.Http",
            Sample = (ref ActivityCreationOptions<ActivityContext> options) => options.Parent.TraceId == trace ? ActivitySamplingResult.AllDataAndRecorded : ActivitySamplingResult.None,
            ActivityStopped = activity =>
            {
                if (activity.TraceId == trace)
                {
                    _calls.Enqueue(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(_listener);
        _channel = IsGrpc ? MeshChannel.ForAddress("xds:///catalog", _program.Services) : null;
    }

    public bool IsGrpc => _protocol is Protocol.GrpcUnary or Protocol.GrpcStream;

    /// <summary>What the backends do: by endpoint, and by the number of the request over all of them, from 1.</summary>
    public Func<int, int, Does> Script { get; set; } = (_, _) => Does.Answer;

    public int Requests => Volatile.Read(ref _requests);

    /// <summary>Calls to the cluster that hold a place.</summary>
    public int InFlight => _program.Services.GetRequiredService<OutboundTableStore>().Current.Find(ListenerKey.Parse("catalog"))!.Clusters[0].Limit.InFlight;

    /// <summary>Endpoint, protocol and path of each request that arrived.</summary>
    public ConcurrentQueue<(int Endpoint, string Protocol, string Path)> Seen { get; } = [];

    public static RouteAction.Forward Route => new([new WeightedCluster(Cluster, 1)]);

    /// <summary>A copy goes to the same endpoints.</summary>
    public static Mirror Mirrored => new(Cluster, 1_000_000);

    public static async Task<ProtocolLab> StartAsync(Protocol protocol, int endpoints = 1)
    {
        var lab = new ProtocolLab(protocol);
        for (var i = 0; i < endpoints; i++)
        {
            await lab.StartServerAsync(i);
        }

        return lab;
    }

    public void Serve(RouteAction action, Func<Cluster, Cluster>? change = null, params HttpFilter[] filters)
    {
        var snapshot = MeshedProgram.Snapshot("catalog", action, (Cluster, [.. _servers.Select(s => s.Endpoint)]), change);
        var found = (ListenerResult.Found)MeshedProgram.Listener("catalog", action);
        var listener = found.Listener with { Api = found.Listener.Api! with { Filters = filters } };
        _program.Config.Set(snapshot with { Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add("catalog", found with { Listener = listener }) });
    }

    public async Task<Got> CallAsync(CancellationToken cancellationToken)
    {
        Activity.Current = _root;
        if (!IsGrpc)
        {
            using var response = await _program.Client().GetAsync("http://catalog/item", cancellationToken);
            return (int)response.StatusCode switch
            {
                200 when await response.Content.ReadAsStringAsync(cancellationToken) == "ok" => Got.Answer,
                503 => Got.Unavailable,
                504 => Got.Timeout,
                _ => Got.Other,
            };
        }

        try
        {
            return await GrpcAsync(new CallOptions(cancellationToken: cancellationToken)) is "ok" or "okokok" ? Got.Answer : Got.Other;
        }
        catch (RpcException e)
        {
            return e.StatusCode switch
            {
                StatusCode.Unavailable => Got.Unavailable,
                StatusCode.DeadlineExceeded => Got.Timeout,
                StatusCode.Cancelled => throw new OperationCanceledException(e.Message, e),
                _ => Got.Other,
            };
        }
    }

    /// <summary>How often it is in the metric.</summary>
    public long Decided(string decision, string reason) => _decisions.GetMeasurementSnapshot()
        .Where(m => Equals(m.Tags[MeshTags.Decision], decision) && Equals(m.Tags[MeshTags.Reason], reason)).Sum(m => m.Value);

    /// <summary>How often it is an event of a call's span. Spans end with their responses: of calls that have ended.</summary>
    public int OnSpans(string decision, string reason) => _calls
        .SelectMany(c => c.Events).Count(e => e.Name == decision && e.Tags.Contains(new KeyValuePair<string, object?>(MeshTags.Reason, reason)));

    public string What => string.Join(
        ", ", _decisions.GetMeasurementSnapshot().Select(m => $"{m.Tags[MeshTags.Decision]}:{m.Tags[MeshTags.Reason]}").Concat(_calls.SelectMany(c => c.Events).Select(e => $"span {e.Name}")));

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        _decisions.Dispose();
        _channel?.Dispose();
        await _program.DisposeAsync();
        foreach (var (app, _) in _servers)
        {
            await app.DisposeAsync();
        }

        _root.Dispose();
        _ca.Dispose();
    }

    private async Task<string> GrpcAsync(CallOptions options)
    {
        var invoker = _channel!.CreateCallInvoker();
        if (_protocol == Protocol.GrpcUnary)
        {
            return await invoker.AsyncUnaryCall(EchoService.UnaryMethod, null, options, "hello");
        }

        using var call = invoker.AsyncServerStreamingCall(EchoService.ServerMethod, null, options, "hello");
        var all = new StringBuilder();
        await foreach (var text in call.ResponseStream.ReadAllAsync(options.CancellationToken))
        {
            all.Append(text);
        }

        return all.ToString();
    }

    private async Task StartServerAsync(int index)
    {
        var identity = _protocol == Protocol.Http1 ? null : new FixedIdentitySource(_ca.Identity("shop", "catalog"));
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AllowAlternateSchemes = true;
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                listen.Protocols = HttpProtocols.Http1AndHttp2;
                if (identity is not null)
                {
                    listen.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => new(MeshTls.ForServer(identity.Current!, _ => { })) });
                }
            });
        });
        var app = builder.Build();
        app.Run(context => ServeAsync(context, index));
        await app.StartAsync();
        var port = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Port;
        _servers.Add((app, new("127.0.0.1", port, 1, true)
        {
            Tls = identity is null ? EndpointTls.None : EndpointTls.Mesh,
            SpiffeId = identity?.Current!.Svid.Id,
            SpeaksHttp2 = identity is not null,
        }));
    }

    private async Task ServeAsync(HttpContext context, int index)
    {
        Seen.Enqueue((index, context.Request.Protocol, context.Request.Path));
        var does = Script(index, Interlocked.Increment(ref _requests));
        var response = context.Response;
        switch (does)
        {
            case Does.Hang:
                var left = new TaskCompletionSource();
                using (context.RequestAborted.Register(left.SetResult))
                {
                    await left.Task;
                }

                break;
            case Does.Refuse or Does.Fail when IsGrpc:
                response.ContentType = "application/grpc";
                response.Headers["grpc-status"] = does == Does.Refuse ? "14" : "13";
                break;
            case Does.Refuse or Does.Fail:
                response.StatusCode = does == Does.Refuse ? 503 : 500;
                break;
            case Does.Answer when IsGrpc:
                response.ContentType = "application/grpc";
                for (var i = 0; i < (_protocol == Protocol.GrpcStream ? 3 : 1); i++)
                {
                    // gRPC over HTTP/2, "Length-Prefixed-Message".
                    var frame = new byte[7];
                    BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), 2);
                    "ok"u8.CopyTo(frame.AsSpan(5));
                    await response.Body.WriteAsync(frame);
                    await response.Body.FlushAsync();
                }

                response.AppendTrailer("grpc-status", "0");
                break;
            default:
                await response.WriteAsync("ok");
                break;
        }
    }
}
