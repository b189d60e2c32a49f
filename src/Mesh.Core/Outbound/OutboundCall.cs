using System.Diagnostics;
using Mesh.Balancing;
using Mesh.Config;
using Mesh.Resilience;
using Mesh.Traffic;

namespace Mesh.Outbound;

/// <summary>One call of the app: what the steps pass along. Used by one flow at a time.</summary>
#pragma warning disable CA1001 // the caller's content, wrapped: the caller disposes it
internal sealed class OutboundCall(
    OutboundPipeline pipeline, HttpRequestMessage request, OutboundListener listener, long start, CallLimits? limits, CancellationToken cancelled, DeadlineToken? bound = null)
#pragma warning restore CA1001
{
    private const string PreviousAttempts = "grpc-previous-rpc-attempts";
    private readonly Version _version = request.Version;
    private readonly HttpVersionPolicy _versionPolicy = request.VersionPolicy;
    private ReplayContent? _replay;
    private bool _saysVersion;

    // Most calls have none of it: the call is smaller without.
    private RareParts? _rare;

    public OutboundPipeline Pipeline => pipeline;

    public HttpRequestMessage Request => request;

    public OutboundListener Listener => listener;

    /// <summary>What the app allows at most; null is what the route says.</summary>
    public CallLimits? Limits => limits;

    /// <summary>The caller's own token: tells giving up from a timeout.</summary>
    public CancellationToken Cancelled => cancelled;

    /// <summary>The caller wants no answer any more: it cancelled, or it left while its request's body was read.</summary>
    public bool IsGivenUp => cancelled.IsCancellationRequested || (request.Content is ReplayContent { Inner: var inner } ? inner : request.Content) is ICallerBody { CallerFailed: true };

    /// <summary>Ends the call's attempts: the caller's own token, or one that the deadline of the request being served cancels too.</summary>
    public CancellationToken Token => bound?.Token ?? cancelled;

    /// <summary>Of the request that the app serves while it makes this call; null when there is none.</summary>
    public Deadline? Deadline => bound?.Deadline;

    /// <summary>That deadline is over.</summary>
    public bool IsOverdue => bound is { HasExpired: true };

    /// <summary>Timestamp.</summary>
    public long Start => start;

    public bool IsGrpc { get; } = IsGrpcRequest(request);

    public OutboundRoute? Route { get; set; }

    /// <summary>Where it is counted; null when nobody counts it. A copy of a call is counted for the service that gets it, by no route.</summary>
    public RouteSeries? Series => listener.Destination is not { IsCounted: true } destination ? null
        : Route?.Series is { } series && ReferenceEquals(series.Destination, destination) ? series : destination.Unrouted;

    /// <summary>Chosen once: retries stay in it (gRFC A31).</summary>
    public OutboundCluster? Cluster { get; set; }

    /// <summary>What is different on the way to that cluster; null until it is chosen.</summary>
    public OutboundTarget? Target { get; set; }

    /// <summary>What of its time a delay on purpose took before its first attempt.</summary>
    public TimeSpan Delayed
    {
        get => _rare?.Delayed ?? TimeSpan.Zero;
        set => Rare.Delayed = value;
    }

    /// <summary>What the latest attempt sent and received; null where nobody wants to know.</summary>
    public GrpcSizes? Sizes => _rare?.Sizes;

    /// <summary>How long no attempt ran between those it has made; null without retries, or where nobody wants to know.</summary>
    public TimeSpan? Waited => _rare?.Waited;

    /// <summary>What the caller's request was; null when the route did not change it.</summary>
    public RequestBefore? Before
    {
        get => _rare?.Before;
        set => Rare.Before = value;
    }

    /// <summary>The mesh wrote into its request that it wants load reports.</summary>
    public bool AsksForLoad { get; set; }

    /// <summary>Copies that wait for the body to have been sent; null when there are none.</summary>
    public List<MirrorCopy>? Copies
    {
        get => _rare?.Copies;
        set => Rare.Copies = value;
    }

    /// <summary>Null when it belongs to none.</summary>
    public Steps.CallSession? Session
    {
        get => _rare?.Session;
        set => Rare.Session = value;
    }

    /// <summary>For those who look while it goes on; null where nobody does.</summary>
    public Tap.OpenExchange? Open
    {
        get => _rare?.Open;
        set => Rare.Open = value;
    }

    /// <summary>Where on the ring it begins, when the cluster has one (gRFC A42).</summary>
    public ulong Hash { get; set; }

    /// <summary>Owned by the telemetry step.</summary>
    public Activity? Activity { get; set; }

    public int Attempts { get; set; }

    /// <summary>How the latest attempt ended, as far as its headers tell.</summary>
    public AttemptResult Last { get; set; }

    /// <summary>Of the latest attempt; null before the first.</summary>
    public OutboundEndpoint? Endpoint { get; set; }

    public bool LastWasMesh => Endpoint is { IsMesh: true };

    /// <summary>The headers that carry the trace; null when there is none.</summary>
    public TraceHeaders? Trace { get; set; }

    /// <summary>The body of the latest attempt's response; null when it had none.</summary>
    public ResponseBody? Body { get; set; }

    private TriedEndpoints _tried;

    public TriedEndpoints Tried
    {
        get => _tried;
        set => _tried = value;
    }

    public void AddTried(BalancedEndpoint endpoint) => _tried.Add(endpoint);

    /// <summary>Another attempt beside this one was first: what ends it is no failure.</summary>
    public bool HasLost { get; set; }

    /// <summary>Its latest attempt is counted among those that may wait for a connection: over HTTP/2, HTTP/1.1, or (null) not at all.</summary>
    public bool? WaitsOverHttp2 { get; set; }

    /// <summary>It began beside an attempt that took long.</summary>
    public bool IsHedge { get; set; }

    /// <summary>Doing it twice is the same as doing it once, as far as its method tells.</summary>
    public bool IsIdempotent => !IsGrpc && RetryDecider.IsIdempotent(request.Method);

    /// <summary>May be sent twice at once where the route says so: gRPC's methods tell nothing, so there the route's word is enough.</summary>
    public bool MayBeHedged => (IsGrpc || IsIdempotent) && !request.Headers.NonValidated.Contains("Upgrade");

    /// <summary>The body can be sent again.</summary>
    public bool CanReplay => _replay is null or { CanReplay: true };

    /// <summary>Before it is asked whether the body <see cref="CanReplay"/>: an answer may have overtaken its end.</summary>
    public ValueTask BodySettlesAsync() => _replay is { CanReplay: false } body ? body.SettleSoonAsync(Token) : default;

    /// <summary>Keeps the request body for another attempt, when that is needed and possible, and lets its progress be seen where somebody watches.</summary>
    /// <param name="hedged">Two attempts may send it at once: also what repeats itself is kept then.</param>
    public void PrepareBody(RouteResilience resilience, bool hedged)
    {
        // A body that is kept for copies is kept for attempts too.
        if (_replay is not null || request.Content is not { } content)
        {
            return;
        }

        var repeats = !hedged && ReplayContent.RepeatsByItself(content);
        // Of what may not be done twice must be known whether it was begun at all.
        if (hedged || resilience.WatchesAttempts || (resilience.Retries && !(repeats && IsIdempotent)))
        {
            request.Content = _replay = new ReplayContent(content, keep: hedged || resilience.Retries, repeats, pipeline.Time);
        }
    }

    /// <summary>Keeps the request body for copies of the call.</summary>
    public void MakeBodyReplayable()
    {
        if (_replay is null && request.Content is { } content)
        {
            request.Content = _replay = new ReplayContent(content, time: pipeline.Time);
        }
    }

    /// <summary>Measures the body of the attempt that begins, until <see cref="UnmeasureBody"/>.</summary>
    public void MeasureBody()
    {
        var sizes = Rare.Sizes = new GrpcSizes();
        if (request.Content is { } content)
        {
            request.Content = new MeasuredContent(content, sizes);
        }
    }

    /// <summary>The connection has the body: the request is as it was.</summary>
    public void UnmeasureBody()
    {
        if (request.Content is MeasuredContent measured)
        {
            request.Content = measured.Inner;
        }
    }

    /// <summary>An attempt has failed, and another one is to come.</summary>
    /// <param name="now">Timestamp.</param>
    public void WaitBegins(long now)
    {
        Rare.WaitsSince = now;
        Rare.Waited ??= TimeSpan.Zero;
    }

    /// <summary>It begins.</summary>
    /// <param name="now">Timestamp.</param>
    public void WaitEnds(long now)
    {
        if (_rare is { WaitsSince: { } since } rare)
        {
            (rare.Waited, rare.WaitsSince) = (rare.Waited + pipeline.Time.GetElapsedTime(since, now), null);
        }
    }

    /// <summary>Writes what is left of the deadline into the attempt's headers. False when nothing is.</summary>
    public bool TrySendOn(Deadline deadline)
    {
        Rare.BeforeDeadline ??= new RequestBefore(request, OutboundDeadline.Headers(IsGrpc));
        return OutboundDeadline.TrySendOn(deadline, request, IsGrpc);
    }

    /// <summary>gRFC A6: the server of a later attempt sees how many there were.</summary>
    public void TellAttemptsBefore()
    {
        if (IsGrpc && Attempts > 1)
        {
            request.Headers.Remove(PreviousAttempts);
            request.Headers.TryAddWithoutValidation(PreviousAttempts, (Attempts - 1).ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    /// <summary>The same call with a request of its own, for an attempt beside others.</summary>
    /// <param name="content">Its body.</param>
    public OutboundCall Fork(HttpContent? content)
    {
        var copy = new HttpRequestMessage(request.Method, request.RequestUri) { Version = _version, VersionPolicy = _versionPolicy, Content = content };
        foreach (var header in request.Headers.NonValidated)
        {
            copy.Headers.TryAddWithoutValidation(header.Key, header.Value);
        }

        var fork = new OutboundCall(pipeline, copy, listener, start, limits, cancelled, bound)
        {
            Route = Route,
            Cluster = Cluster,
            Target = Target,
            Hash = Hash,
            Activity = Activity,
            Trace = Trace,
            _tried = _tried,
        };
        if (Session is { } session)
        {
            fork.Session = session;
        }

        return fork;
    }

    /// <summary>Takes over what a fork left behind.</summary>
    /// <param name="fork">Null when none was made.</param>
    /// <param name="attempts">Of all forks.</param>
    public void Adopt(OutboundCall? fork, int attempts)
    {
        Attempts = attempts;
        Last = cancelled.IsCancellationRequested ? new AttemptResult(AttemptEnd.Cancelled) : fork?.Last ?? new AttemptResult(AttemptEnd.Timeout);
        if (fork is not null)
        {
            fork.Attempts = attempts;
            (Body, Endpoint) = (fork.Body, fork.Endpoint);
        }
    }

    /// <summary>Version of the attempt: HTTP/2 between mesh peers unless the request can't ride it. Returns false when it must stay HTTP/1.1.</summary>
    public bool ApplyVersion(Endpoint endpoint)
    {
        var http1Only = _version.Major < 2
            && (_versionPolicy == HttpVersionPolicy.RequestVersionExact || request.Method == HttpMethod.Connect || request.Headers.NonValidated.Contains("Upgrade"));
        if (http1Only)
        {
            return false;
        }

        // gRPC is HTTP/2 always; without TLS that is by prior knowledge, as where a Service says kubernetes.io/h2c.
        if (IsGrpc || endpoint.SpeaksHttp2)
        {
            request.Version = System.Net.HttpVersion.Version20;
            request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
            if (endpoint.SpeaksTcp && !IsGrpc && (_version.Major < 2 || _versionPolicy == HttpVersionPolicy.RequestVersionOrLower) && !request.Headers.NonValidated.Contains(MeshHeaders.OriginalProtocol))
            {
                // A sidecar: the app behind it gets HTTP/1, as it was written; HTTP/2 "or lower" is HTTP/1.1 without TLS. An app that is in the mesh itself takes HTTP/2.
                _saysVersion = request.Headers.TryAddWithoutValidation(MeshHeaders.OriginalProtocol, _version is { Major: 1, Minor: 0 } ? "HTTP/1.0" : "HTTP/1.1");
            }
        }

        return true;
    }

    /// <summary>The caller sees the request as it was written, and no newer version than it asked for.</summary>
    public void RestoreVersion(HttpResponseMessage? response)
    {
        request.Version = _version;
        request.VersionPolicy = _versionPolicy;
        if (_saysVersion)
        {
            _saysVersion = false;
            request.Headers.Remove(MeshHeaders.OriginalProtocol);
        }

        if (response is not null && response.Version > _version && _versionPolicy != HttpVersionPolicy.RequestVersionOrHigher)
        {
            response.Version = _version;
        }
    }

    /// <summary>No more attempts.</summary>
    public void Commit()
    {
        if (_replay is not null)
        {
            _replay.StopKeeping();
            request.Content = _replay.Inner;
        }

        if (IsGrpc && Attempts > 1)
        {
            request.Headers.Remove(PreviousAttempts);
        }

        if (AsksForLoad)
        {
            InBandLoad.Unask(request);
        }

        // The latest change first: the route's came before the deadline's.
        _rare?.BeforeDeadline?.Restore(request);
        _rare?.Before?.Restore(request);
        Trace?.Remove(request.Headers);
    }

    /// <summary>The body, when it was kept whole while it was sent; else null.</summary>
    public ReadOnlyMemory<byte>? KeptBody => _replay?.Kept;

    private RareParts Rare => _rare ??= new RareParts();

    private static bool IsGrpcRequest(HttpRequestMessage request) =>
        request.Content is { } content && content.Headers.NonValidated.TryGetValues("Content-Type", out var type)
        && type.ToString() is var text && text.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase)
        && !text.StartsWith("application/grpc-web", StringComparison.OrdinalIgnoreCase);

    private sealed class RareParts
    {
        public TimeSpan Delayed;
        public GrpcSizes? Sizes;
        public long? WaitsSince;
        public TimeSpan? Waited;
        public RequestBefore? Before;
        public RequestBefore? BeforeDeadline;
        public List<MirrorCopy>? Copies;
        public Steps.CallSession? Session;
        public Tap.OpenExchange? Open;
    }
}
