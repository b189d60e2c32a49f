using System.Collections.Immutable;
using System.Net;
using System.Threading.Channels;
using Grpc.Core;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Envoy.Core;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Xds;

/// <summary>What all sessions share: built once, used by every stream.</summary>
internal sealed record AdsParts(ResourceAnswers Answers, ClientRegistry Clients, IMeshMarkStore Marks, TrustBundleStore Trust, TimeProvider Time, ILogger<AdsService> Logger);

/// <summary>One ADS stream: the one loop that reads, compares and writes. A slow reader is never queued for: when it can take more it gets the latest state.</summary>
internal abstract partial class AdsSession<TRequest, TResponse>(AdsParts parts, SpiffeId? identity, string? serial, string address, string variant) : IAdsSession
{
    /// <summary>Most names of all types on one stream.</summary>
    public const int MaxNames = 10_000;

    private const int MaxTypes = 32;
    private const int MaxNameLength = 2048;

    /// <summary>A certificate may end while nothing else happens.</summary>
    private static readonly TimeSpan CheckPeriod = TimeSpan.FromMinutes(1);

    /// <summary>Make before break: what is referred to goes before what refers to it (xDS v3, eventual consistency considerations); whom to trust before all.</summary>
    private static readonly string[] PushOrder =
        [XdsTypes.TrustBundle, XdsTypes.Cluster, XdsTypes.ClusterLoadAssignment, XdsTypes.Listener, XdsTypes.RouteConfiguration, XdsTypes.LeafPolicy];

    private readonly Channel<byte> _wakes = Channel.CreateBounded<byte>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>What the peer's certificate rests on; null without one, and in the own process.</summary>
    private readonly Peer? _peer = identity is null || serial is null ? null : parts.Trust.Chains.Of(identity, serial);
    private readonly DateTimeOffset _since = parts.Time.GetUtcNow();
    private readonly string _nonceSuffix = Guid.NewGuid().ToString("N")[..8];

    // Guards all below. The loop is the only writer; the API reads.
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Subscription> _types = new(StringComparer.Ordinal);
    private NodeContext? _node;
    private AnswerBasis? _self;
    private long _compared = parts.Answers.Number;
    private MeshModel? _marked;
    private long _nonces;
    private long _acks;
    private long _nacks;
    private string? _lastNack;

    public bool IsIdentified => Volatile.Read(ref _node) is not null;

    protected NodeContext Node => _node!;

    /// <summary>Envoy keeps a changed cluster or listener warming until its endpoints or routes come again.</summary>
    protected bool WarmsAgain { get; private set; }

    public void Wake() => _wakes.Writer.TryWrite(0);

    /// <summary>Runs until the client ends the stream or <paramref name="cancellationToken"/> does.</summary>
    public async Task RunAsync(IAsyncStreamReader<TRequest> requests, IServerStreamWriter<TResponse> responses, CancellationToken cancellationToken)
    {
        var id = parts.Clients.Add(this);
        // By the wall clock at each tick: a timer for the end itself would not see the clock jump, nor the machine sleep.
        await using var ticks = _peer is null ? null : parts.Time.CreateTimer(_ => Wake(), null, CheckPeriod, CheckPeriod);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var read = requests.MoveNext(ends.Token);
        var wake = _wakes.Reader.WaitToReadAsync(ends.Token).AsTask();
        try
        {
            EndIfNotBelieved();
            while (true)
            {
                await Task.WhenAny(read, wake);
                if (read.IsCompleted)
                {
                    if (!await read)
                    {
                        return;
                    }

                    if (Receive(requests.Current) is { } answer)
                    {
                        await responses.WriteAsync(answer, cancellationToken);
                    }

                    read = requests.MoveNext(ends.Token);
                }

                if (wake.IsCompleted)
                {
                    await wake;
                    _wakes.Reader.TryRead(out _);
                    wake = _wakes.Reader.WaitToReadAsync(ends.Token).AsTask();
                    EndIfNotBelieved();
                    await PushAsync(responses, cancellationToken);
                }
            }
        }
        finally
        {
            // The server reuses what reads a stream: a read that outlives its handler would take bytes of another call.
            await ends.CancelAsync();
            await ((Task)Task.WhenAll(read, wake)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            parts.Clients.Remove(id);
        }
    }

    public AdsClient? Describe()
    {
        lock (_lock)
        {
            return _node is null ? null : new AdsClient(
                _node, address, _since, variant, _acks, _nacks, _lastNack,
                [.. _types.Values.Where(t => t.Names.Count > 0).Select(t => new AdsClientType(
                    t.TypeUrl, t.VersionSent, t.VersionAcked, t.State.ToString().ToLowerInvariant(),
                    [.. t.Names.Select(n => new AdsClientResource(n, t.Sent.GetValueOrDefault(n)))]))]);
        }
    }

    public TrustHolder? Holder()
    {
        lock (_lock)
        {
            return _node?.Identity is null ? null
                : _types.TryGetValue(XdsTypes.TrustBundle, out var type) && type.Names.Count > 0 ? new TrustHolder(_node.Identity, _node.Id, true, type.Held)
                : new TrustHolder(_node.Identity, _node.Id, false, null);
        }
    }

    protected abstract TResponse? ReceiveLocked(TRequest request);

    /// <summary>The difference between what the type's names stand for now and what was sent; null when there is none.</summary>
    /// <param name="again">Send it even if it is the same.</param>
    protected abstract TResponse? PushLocked(Subscription type, bool again);

    protected static bool IsFullState(string typeUrl) => typeUrl is XdsTypes.Listener or XdsTypes.Cluster;

    protected string NextNonce() => $"{++_nonces}-{_nonceSuffix}";

    /// <summary>What the name stands for now. What our own check refused stays as it was sent.</summary>
    protected Answer Resolve(Subscription type, string name)
    {
        var answer = parts.Answers.Get(Node, type.TypeUrl, name);
        return answer.IsInvalid && type.Sent.TryGetValue(name, out var sent) ? sent : answer;
    }

    /// <summary>Learns the node from the stream's first request.</summary>
    protected void IdentifyLocked(Node? node)
    {
        if (_node is null)
        {
            _node = NodeReader.Read(node, identity, out var problem) ?? throw new RpcException(new Status(StatusCode.InvalidArgument, problem!));
            _self = AnswerBasis.Of(_node);
            WarmsAgain = node!.UserAgentName.StartsWith("envoy", StringComparison.OrdinalIgnoreCase);
            Log.Connected(parts.Logger, _node.Id, identity?.ToString() ?? "none", address, variant);
            MarkBehindSidecarLocked();
        }
    }

    protected Subscription TypeLocked(string typeUrl, out bool isNew)
    {
        isNew = false;
        if (_types.TryGetValue(typeUrl, out var type))
        {
            return type;
        }

        if (typeUrl.Length is 0 or > MaxNameLength)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"type_url has {typeUrl.Length} characters. Send one of the xDS v3 types."));
        }

        if (_types.Count >= MaxTypes)
        {
            throw new RpcException(new Status(StatusCode.ResourceExhausted, $"One stream can ask for at most {MaxTypes} types."));
        }

        isNew = true;
        return _types[typeUrl] = new Subscription(typeUrl);
    }

    /// <summary>Adds names; those that were new are returned. A served inbound listener is remembered as meshed.</summary>
    protected List<string> AddLocked(Subscription type, IEnumerable<string> names)
    {
        var added = new List<string>();
        var total = _types.Values.Sum(t => t.Names.Count);
        foreach (var name in names)
        {
            if (name.Length is 0 or > MaxNameLength)
            {
                throw new RpcException(new Status(StatusCode.InvalidArgument, $"A resource name has {name.Length} characters. Use 1–{MaxNameLength}."));
            }

            // The one that all streams share: a stream holds many names, and most streams hold the same.
            if (!type.Names.Add(parts.Answers.Get(Node, type.TypeUrl, name).Name ?? name))
            {
                continue;
            }

            if (++total > MaxNames)
            {
                throw new RpcException(new Status(StatusCode.ResourceExhausted, $"One stream can subscribe to at most {MaxNames} resources. Unsubscribe from what is not needed."));
            }

            added.Add(name);
            if (type.TypeUrl == XdsTypes.Listener && identity is not null && ServedAddress(name) is { } bound)
            {
                MarkInbound(bound);
            }
        }

        return added;
    }

    protected void AckLocked(Subscription type, string version)
    {
        type.State = SubscriptionState.Acked;
        type.VersionAcked = version;
        _acks++;
        parts.Clients.CountAck();
        if (type.TypeUrl == XdsTypes.TrustBundle)
        {
            HoldLocked(type, type.Sent.Values.FirstOrDefault()?.Version);
        }
    }

    /// <summary>The client has this version of the trust bundle.</summary>
    protected void HoldLocked(Subscription type, string? version)
    {
        type.Held = version;
        parts.Clients.TellHolders();
    }

    protected void NackLocked(Subscription type, string? message)
    {
        var text = message is { Length: > 2000 } ? message[..2000] + "…" : message ?? string.Empty;
        type.State = SubscriptionState.Nacked;
        type.LastNack = text;
        _lastNack = $"{type.TypeUrl[(type.TypeUrl.LastIndexOf('.') + 1)..]}: {text}";
        _nacks++;
        parts.Clients.CountNack();
        Log.Nack(parts.Logger, Node.Id, type.TypeUrl, type.VersionSent, text);
    }

    /// <summary>What a node serves mesh TLS at when it asks for this listener; null when it is none of that kind.</summary>
    private string? ServedAddress(string listener) =>
        listener.StartsWith(XdsTypes.InboundPrefix, StringComparison.Ordinal) ? listener[XdsTypes.InboundPrefix.Length..]
        : Node.HasDefaultTls && listener.StartsWith(XdsTypes.GrpcServerPrefix, StringComparison.Ordinal) ? listener[XdsTypes.GrpcServerPrefix.Length..]
        : null;

    private void MarkInbound(string bound)
    {
        if (!IPEndPoint.TryParse(bound, out var at) || at.Port == 0)
        {
            return;
        }

        if (!at.Address.Equals(IPAddress.Any) && !at.Address.Equals(IPAddress.IPv6Any))
        {
            parts.Marks.Record(at.ToString(), identity!, Node.IsTransparent);
            return;
        }

        foreach (var ip in Node.InstanceIps)
        {
            if (IPAddress.TryParse(ip, out var address1))
            {
                parts.Marks.Record(new IPEndPoint(address1, at.Port).ToString(), identity!, Node.IsTransparent);
            }
        }
    }

    /// <summary>A sidecar serves every port of its addresses, whether it asks for a listener there or not.</summary>
    private void MarkBehindSidecarLocked()
    {
        if (identity?.Namespace is null || _node is not { IsTransparent: true })
        {
            return;
        }

        var (model, endpoints) = parts.Answers.EndpointsOf(identity);
        if (ReferenceEquals(model, _marked))
        {
            return;
        }

        _marked = model;
        var own = _node.InstanceIps.Select(ip => IPAddress.TryParse(ip, out var parsed) ? parsed.ToString() : ip).ToHashSet(StringComparer.Ordinal);
        foreach (var endpoint in endpoints)
        {
            if (own.Contains(endpoint.Address) && !_node.SkipInboundPorts.Contains(endpoint.Port))
            {
                parts.Marks.Record(endpoint.HostPort, identity, transparent: true);
            }
        }
    }

    private void EndIfNotBelieved()
    {
        var trust = parts.Trust.Current;
        if (identity is not null && (_peer is null ? trust.RevocationOf(identity, serial) : trust.RevocationOf(_peer)) is { } revoked)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, revoked));
        }

        if (identity is not null && serial is not null && (_peer is null || _peer.NotAfter <= parts.Time.GetUtcNow()))
        {
            throw new RpcException(new Status(StatusCode.Unauthenticated, $"The certificate {serial} of '{identity}', or its issuer, is over. Connect again with a newer one."));
        }
    }

    private TResponse? Receive(TRequest request)
    {
        lock (_lock)
        {
            return ReceiveLocked(request);
        }
    }

    /// <summary>What the models since the last push changed for others than this node; null: compare all.</summary>
    private ImmutableArray<ModelChange>? ChangesLocked()
    {
        var changes = parts.Answers.ChangesSince(ref _compared);
        return changes is null || changes.Value.Any(c => c.IsEverything || (_self is not null && c.Touches(_self))) ? null : changes;
    }

    /// <summary>Most models are nothing to most streams: that is found out without asking for the answers.</summary>
    private static bool IsTouchedLocked(Subscription type, ImmutableArray<ModelChange>? changes)
    {
        if (changes is null || type.TypeUrl is XdsTypes.TrustBundle or XdsTypes.LeafPolicy)
        {
            return true;
        }

        foreach (var answer in type.Sent.Values)
        {
            foreach (var change in changes.Value)
            {
                if (change.Touches(answer.Basis))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private async Task PushAsync(IServerStreamWriter<TResponse> responses, CancellationToken cancellationToken)
    {
        ImmutableArray<ModelChange>? changes;
        lock (_lock)
        {
            changes = ChangesLocked();
            if (changes is null)
            {
                MarkBehindSidecarLocked();
            }
        }

        var changed = new HashSet<string>();
        foreach (var typeUrl in PushOrder)
        {
            TResponse? response;
            lock (_lock)
            {
                if (_node is null || !_types.TryGetValue(typeUrl, out var type))
                {
                    continue;
                }

                var again = WarmsAgain && ((typeUrl == XdsTypes.ClusterLoadAssignment && changed.Contains(XdsTypes.Cluster))
                    || (typeUrl == XdsTypes.RouteConfiguration && changed.Contains(XdsTypes.Listener)));
                response = again || IsTouchedLocked(type, changes) ? PushLocked(type, again) : default;
            }

            if (response is not null)
            {
                changed.Add(typeUrl);
                await responses.WriteAsync(response, cancellationToken);
            }
        }
    }
}
