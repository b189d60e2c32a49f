using System.Collections.Immutable;
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
    /// <summary>A certificate may end while nothing else happens.</summary>
    private static readonly TimeSpan CheckPeriod = TimeSpan.FromMinutes(1);

    /// <summary>Make before break: what is referred to goes before what refers to it (xDS v3, eventual consistency considerations); whom to trust before all.</summary>
    private static readonly string[] PushOrder =
        [XdsTypes.TrustBundle, XdsTypes.Cluster, XdsTypes.ClusterLoadAssignment, XdsTypes.Listener, XdsTypes.RouteConfiguration, XdsTypes.LeafPolicy];

    private readonly Channel<byte> _wakes = Channel.CreateBounded<byte>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly PeerStanding _standing = new(parts.Trust, parts.Time, identity, serial);
    private readonly DateTimeOffset _since = parts.Time.GetUtcNow();
    private readonly string _nonceSuffix = Guid.NewGuid().ToString("N")[..8];

    // Guards all below. The loop is the only writer; the API reads.
    private readonly Lock _lock = new();
    private readonly Subscriptions _types = new();
    private readonly ServedMarks _marks = new(parts.Marks, parts.Answers, identity);
    private readonly PendingChanges _pending = new(parts.Answers);
    private NodeContext? _node;
    private AnswerBasis? _self;
    private long _nonces;
    private long _acks;
    private long _nacks;
    private string? _lastNack;
    private TimeSpan? _pushTook;

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
        await using var ticks = !_standing.CanEnd ? null : parts.Time.CreateTimer(_ => Wake(), null, CheckPeriod, CheckPeriod);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var read = requests.MoveNext(ends.Token);
        var wake = _wakes.Reader.WaitToReadAsync(ends.Token).AsTask();
        try
        {
            _standing.Check();
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
                    _standing.Check();
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
                [.. _types.All.Where(t => t.Names.Count > 0).Select(t => new AdsClientType(
                    t.TypeUrl, t.VersionSent, t.VersionAcked, t.State.ToString().ToLowerInvariant(),
                    [.. t.Names.Select(n => new AdsClientResource(n, t.Sent.GetValueOrDefault(n)))]) { LastNack = t.State == SubscriptionState.Nacked ? t.LastNack : null })])
            {
                StaleSeconds = Math.Round(_types.All.Select(t => t.LaggingSince is { } since ? parts.Time.GetElapsedTime(since).TotalSeconds : 0).DefaultIfEmpty().Max(), 1),
                PushMs = _pushTook is { } took ? Math.Round(took.TotalMilliseconds, 3) : null,
            };
        }
    }

    public TrustHolder? Holder()
    {
        lock (_lock)
        {
            return _node?.Identity is null ? null
                : _types.Find(XdsTypes.TrustBundle) is { Names.Count: > 0 } type ? new TrustHolder(_node.Identity, _node.Id, true, type.Held)
                : new TrustHolder(_node.Identity, _node.Id, false, null);
        }
    }

    protected abstract TResponse? ReceiveLocked(TRequest request);

    /// <summary>The difference between what the type's names stand for now and what was sent; null when there is none.</summary>
    /// <param name="again">Send it even if it is the same.</param>
    protected abstract TResponse? PushLocked(Subscription type, bool again);

    protected static bool IsFullState(string typeUrl) => typeUrl is XdsTypes.Listener or XdsTypes.Cluster;

    /// <summary>A response goes out: it is counted, and how long its acknowledgement takes.</summary>
    protected void SendingLocked(Subscription type)
    {
        parts.Clients.CountPush();
        type.Sending(parts.Time.GetTimestamp());
    }

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
            parts.Clients.Tell(ClientEventKind.Connected, _node);
            _marks.BehindSidecar(_node);
        }
    }

    protected Subscription TypeLocked(string typeUrl, out bool isNew) => _types.Get(typeUrl, out isNew);

    /// <summary>Adds names; those that were new are returned. A served inbound listener is remembered as meshed.</summary>
    protected List<string> AddLocked(Subscription type, IEnumerable<string> names)
    {
        var added = _types.Add(type, names, name => parts.Answers.Get(Node, type.TypeUrl, name).Name ?? name);
        if (type.TypeUrl == XdsTypes.Listener)
        {
            foreach (var name in added)
            {
                _marks.Listens(Node, name);
            }
        }

        return added;
    }

    protected void AckLocked(Subscription type, string version)
    {
        _pushTook = parts.Time.GetElapsedTime(type.SentAt);
        type.Acknowledged();
        type.VersionAcked = version;
        _acks++;
        parts.Clients.CountAck(_pushTook.Value);
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
        var isNews = type.State != SubscriptionState.Nacked;
        type.Refused();
        type.LastNack = text;
        _lastNack = $"{type.TypeUrl[(type.TypeUrl.LastIndexOf('.') + 1)..]}: {text}";
        _nacks++;
        parts.Clients.CountNack();
        if (isNews)
        {
            parts.Clients.Tell(ClientEventKind.Refused, Node, _lastNack);
        }

        Log.Nack(parts.Logger, Node.Id, type.TypeUrl, type.VersionSent, text);
    }

    private TResponse? Receive(TRequest request)
    {
        lock (_lock)
        {
            return ReceiveLocked(request);
        }
    }

    private async Task PushAsync(IServerStreamWriter<TResponse> responses, CancellationToken cancellationToken)
    {
        ImmutableArray<ModelChange>? changes;
        lock (_lock)
        {
            changes = _pending.Take(_self);
            if (changes is null)
            {
                _marks.BehindSidecar(_node);
            }
        }

        var changed = new HashSet<string>();
        foreach (var typeUrl in PushOrder)
        {
            TResponse? response;
            lock (_lock)
            {
                if (_node is null || _types.Find(typeUrl) is not { } type)
                {
                    continue;
                }

                var again = WarmsAgain && ((typeUrl == XdsTypes.ClusterLoadAssignment && changed.Contains(XdsTypes.Cluster))
                    || (typeUrl == XdsTypes.RouteConfiguration && changed.Contains(XdsTypes.Listener)));
                response = again || PendingChanges.Touch(type, changes) ? PushLocked(type, again) : default;
            }

            if (response is not null)
            {
                changed.Add(typeUrl);
                await responses.WriteAsync(response, cancellationToken);
            }
        }
    }
}
