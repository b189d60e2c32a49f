using System.Collections.Concurrent;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Xds;

/// <summary>All streams that are open now, and what they ever answered. Wakes them when something changed. Thread-safe.</summary>
internal sealed class ClientRegistry : ITrustHolders
{
    private readonly ConcurrentDictionary<long, IAdsSession> _sessions = new();
    private long _lastId;
    private long _acks;
    private long _nacks;
    private long _pushes;
    private long _pushTicks;
    private Action? _holdersChanged;
    private Action<ClientEvent>? _event;

    public ClientRegistry(ResourceAnswers answers, LeafPolicyStore leafPolicy, TrustBundleStore trust)
    {
        trust.Subscribe(Wake);
        answers.Subscribe(Wake);
        leafPolicy.Subscribe(Wake);
    }

    /// <summary>Answers since start, those of closed streams included.</summary>
    public long Acks => Interlocked.Read(ref _acks);

    public long Nacks => Interlocked.Read(ref _nacks);

    public bool HasStreams => !_sessions.IsEmpty;

    /// <summary>Streams whose node is known.</summary>
    public int Count => _sessions.Values.Count(s => s.IsIdentified);

    /// <summary>The streams whose node is known, by node id.</summary>
    public IReadOnlyList<AdsClient> Clients =>
        [.. _sessions.Values.Select(s => s.Describe()).OfType<AdsClient>().OrderBy(c => c.Node.Id, StringComparer.Ordinal)];

    /// <inheritdoc/>
    public IReadOnlyList<TrustHolder> Holders => [.. _sessions.Values.Select(s => s.Holder()).OfType<TrustHolder>()];

    /// <inheritdoc/>
    public void SubscribeHolders(Action changed) => _holdersChanged += changed;

    public void TellHolders() => _holdersChanged?.Invoke();

    /// <summary>Called for each that comes, goes or refuses something; it must not block or throw.</summary>
    public void SubscribeEvents(Action<ClientEvent> happened) => _event += happened;

    public void Tell(ClientEventKind kind, NodeContext node, string? text = null) => _event?.Invoke(new ClientEvent(kind, node, text));

    /// <summary>Responses sent since start.</summary>
    public long Pushes => Interlocked.Read(ref _pushes);

    /// <summary>How many responses were acknowledged, and how long that took in all, from sending on.</summary>
    public (long Acknowledged, double Seconds) PushTimes => (Acks, TimeSpan.FromTicks(Interlocked.Read(ref _pushTicks)).TotalSeconds);

    public void CountPush() => Interlocked.Increment(ref _pushes);

    public void CountAck(TimeSpan took)
    {
        Interlocked.Increment(ref _acks);
        Interlocked.Add(ref _pushTicks, took.Ticks);
    }

    public void CountNack() => Interlocked.Increment(ref _nacks);

    public long Add(IAdsSession session)
    {
        var id = Interlocked.Increment(ref _lastId);
        _sessions[id] = session;
        return id;
    }

    public void Remove(long id)
    {
        if (_sessions.TryRemove(id, out var session) && session.Describe() is { } client)
        {
            Tell(ClientEventKind.Lost, client.Node);
        }

        TellHolders();
    }

    private void Wake()
    {
        foreach (var session in _sessions.Values)
        {
            session.Wake();
        }
    }
}

/// <summary>What the registry needs of a stream's session.</summary>
internal interface IAdsSession
{
    bool IsIdentified { get; }

    /// <summary>Something changed: compare with what was sent. Never blocks.</summary>
    void Wake();

    /// <summary>Null until the node is known.</summary>
    AdsClient? Describe();

    /// <summary>What it trusts; null until the node is known, and for nodes without identity.</summary>
    TrustHolder? Holder();
}
