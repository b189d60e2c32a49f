using System.Diagnostics;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Protos.Envoy.Discovery;
using Mesh.Protos.Envoy.Endpoint;
using Mesh.Xds;
using Mesh.Xds.Decoding;

namespace Mesh.Benchmarks.Plane;

/// <summary>One data plane, as light as it can be: asks for listeners, routes, clusters and endpoints one after the other as our XdsClient does, answers each response, and looks only at endpoints.</summary>
/// <remarks>Its connection is its own. It holds no versions over a reconnect: after a restart of the control plane everything comes again, the worst case.</remarks>
internal sealed class PlaneClient(int index, PlaneTopology topology, PlaneMeter meter, PlaneSettings settings, bool delta)
{
    private const string Service = "envoy.service.discovery.v3.AggregatedDiscoveryService";

    /// <summary>A gRPC message's own header.</summary>
    private const int Prefix = 5;

    private static readonly string[] _types = [XdsTypes.Listener, XdsTypes.RouteConfiguration, XdsTypes.Cluster, XdsTypes.ClusterLoadAssignment];
    private static readonly Method<DeltaDiscoveryRequest, Sized<DeltaDiscoveryResponse>> _deltaMethod = Method<DeltaDiscoveryRequest, DeltaDiscoveryResponse>("DeltaAggregatedResources", DeltaDiscoveryResponse.Parser);
    private static readonly Method<DiscoveryRequest, Sized<DiscoveryResponse>> _sotwMethod = Method<DiscoveryRequest, DiscoveryResponse>("StreamAggregatedResources", DiscoveryResponse.Parser);

    private readonly PlaneService[] _watched = topology.WatchedBy(index);
    private readonly int[] _seen = new int[settings.Watch];
    private readonly ByteString?[] _endpoints = new ByteString?[settings.Watch];
    private readonly bool[][] _have = [.. _types.Select(_ => new bool[settings.Watch])];
    private long _complete;

    /// <summary>When everything it asked for was there, on the newest stream; 0 before.</summary>
    public long Complete => Volatile.Read(ref _complete);

    /// <summary>Connects, and connects again when the stream ends, until cancelled.</summary>
    public async Task RunAsync(Func<GrpcChannel> connect, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                using var channel = connect();
                await (delta ? DeltaAsync(channel, cancellationToken) : SotwAsync(channel, cancellationToken));
            }
            catch (Exception e) when (e is RpcException or HttpRequestException or IOException or OperationCanceledException or InvalidOperationException)
            {
                // The control plane is away: as many tries as a second has tenths, spread by chance.
                await Task.Delay(Random.Shared.Next(50, 150), CancellationToken.None);
            }
        }
    }

    public void Forget()
    {
        Volatile.Write(ref _complete, 0);
        Array.ForEach(_have, h => Array.Clear(h));
    }

    /// <summary>What it holds is what stands behind its Services now.</summary>
    public string? Wrong()
    {
        for (var i = 0; i < _watched.Length; i++)
        {
            var held = _endpoints[i] is { } bytes
                ? ClusterLoadAssignment.Parser.ParseFrom(bytes).Endpoints.SelectMany(l => l.LbEndpoints).Select(e => e.Endpoint.Address.SocketAddress.Address).ToHashSet() : [];
            if (!held.SetEquals(_watched[i].Addresses))
            {
                return $"client {index} holds [{string.Join(' ', held.Order())}] of {_watched[i].Name}, which has [{string.Join(' ', _watched[i].Addresses.Order())}]";
            }
        }

        return null;
    }

    private async Task DeltaAsync(GrpcChannel channel, CancellationToken cancellationToken)
    {
        using var call = channel.CreateCallInvoker().AsyncDuplexStreamingCall(_deltaMethod, null, new CallOptions(cancellationToken: cancellationToken));
        Forget();
        await SendAsync(call.RequestStream, new DeltaDiscoveryRequest { Node = Node().ToProto(), TypeUrl = _types[0], ResourceNamesSubscribe = { Names(0) } }, cancellationToken);
        for (var asked = 1; await call.ResponseStream.MoveNext(cancellationToken);)
        {
            var (response, bytes) = call.ResponseStream.Current;
            meter.Received(bytes, response.Resources.Count);
            var type = Array.IndexOf(_types, response.TypeUrl);
            string? problem = null;
            foreach (var resource in response.Resources)
            {
                problem = Take(type, resource.Name, resource.Resource_.Value) ?? problem;
            }

            await SendAsync(call.RequestStream, new DeltaDiscoveryRequest { TypeUrl = response.TypeUrl, ResponseNonce = response.Nonce, ErrorDetail = Error(problem) }, cancellationToken);
            if (IsNext(type, ref asked))
            {
                await SendAsync(call.RequestStream, new DeltaDiscoveryRequest { TypeUrl = _types[type + 1], ResourceNamesSubscribe = { Names(type + 1) } }, cancellationToken);
            }
        }
    }

    private async Task SotwAsync(GrpcChannel channel, CancellationToken cancellationToken)
    {
        using var call = channel.CreateCallInvoker().AsyncDuplexStreamingCall(_sotwMethod, null, new CallOptions(cancellationToken: cancellationToken));
        Forget();
        await SendAsync(call.RequestStream, new DiscoveryRequest { Node = Node().ToProto(), TypeUrl = _types[0], ResourceNames = { Names(0) } }, cancellationToken);
        for (var asked = 1; await call.ResponseStream.MoveNext(cancellationToken);)
        {
            var (response, bytes) = call.ResponseStream.Current;
            meter.Received(bytes, response.Resources.Count);
            var type = Array.IndexOf(_types, response.TypeUrl);
            string? problem = null;
            foreach (var resource in response.Resources)
            {
                problem = Take(type, NameOf(resource.Value), resource.Value) ?? problem;
            }

            await SendAsync(
                call.RequestStream,
                new DiscoveryRequest
                {
                    TypeUrl = response.TypeUrl, ResponseNonce = response.Nonce, VersionInfo = problem is null ? response.VersionInfo : string.Empty, ResourceNames = { Names(type) }, ErrorDetail = Error(problem),
                },
                cancellationToken);
            if (IsNext(type, ref asked))
            {
                await SendAsync(call.RequestStream, new DiscoveryRequest { TypeUrl = _types[type + 1], ResourceNames = { Names(type + 1) } }, cancellationToken);
            }
        }
    }

    private Task SendAsync<T>(IClientStreamWriter<T> requests, T request, CancellationToken cancellationToken)
        where T : IMessage
    {
        meter.Sent(request.CalculateSize() + Prefix);
        return requests.WriteAsync(request, cancellationToken);
    }

    private XdsNode Node()
    {
        var ns = topology.NamespaceOf(index);
        return new XdsNode($"client~{index}~{ns}", ns, PlaneIdentities.Account, "client", [$"127.1.{index >> 8}.{index & 255}"]);
    }

    private IEnumerable<string> Names(int type) => _watched.Select(s => type < 2 ? s.Host : s.Cluster);

    /// <returns>The problem, when it can't take the resource.</returns>
    private string? Take(int type, string name, ByteString bytes)
    {
        var position = topology.Find(name) is >= 0 and var service ? Array.FindIndex(_watched, s => s.Index == service) : -1;
        if (position < 0 || (settings.Decode && !ResourceDecoder.Decode(_types[type], bytes).IsValid))
        {
            meter.CountRefused();
            return $"'{name}' was not asked for, or can't be read";
        }

        _have[type][position] = true;
        if (type < 3)
        {
            return null;
        }

        _endpoints[position] = bytes;
        var now = Stopwatch.GetTimestamp();
        var changes = _watched[position].Changes;
        for (var last = changes.Length - 1; last >= _seen[position]; last--)
        {
            if (changes[last].IsIn(bytes.Span))
            {
                // Those before it have come with it.
                for (; _seen[position] <= last; _seen[position]++)
                {
                    meter.Arrived(changes[_seen[position]], now);
                }

                break;
            }
        }

        return null;
    }

    /// <summary>All of the type is there, and what refers to nothing else was not asked for yet.</summary>
    private bool IsNext(int type, ref int asked)
    {
        if (asked != type + 1 || Array.Exists(_have[type], h => !h))
        {
            return false;
        }

        asked++;
        if (type < 3)
        {
            return true;
        }

        Volatile.Write(ref _complete, Stopwatch.GetTimestamp());
        return false;
    }

    private static Mesh.Protos.Rpc.Status? Error(string? problem) => problem is null ? null : new Mesh.Protos.Rpc.Status { Code = 3, Message = problem };

    /// <summary>Field 1 of all four types.</summary>
    private static string NameOf(ByteString resource)
    {
        var reader = resource.CreateCodedInput();
        return reader.ReadTag() == 10 ? reader.ReadString() : string.Empty;
    }

    private static Method<TRequest, Sized<TResponse>> Method<TRequest, TResponse>(string name, MessageParser<TResponse> responses)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse> => new(
            MethodType.DuplexStreaming, Service, name,
            Marshallers.Create<TRequest>((request, context) => context.Complete(request.ToByteArray()), _ => throw new NotSupportedException()),
            Marshallers.Create<Sized<TResponse>>((_, _) => throw new NotSupportedException(), context => new Sized<TResponse>(responses.ParseFrom(context.PayloadAsReadOnlySequence()), context.PayloadLength + Prefix)));

    private sealed record Sized<T>(T Message, int Bytes);
}
