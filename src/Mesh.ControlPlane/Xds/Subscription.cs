namespace Mesh.ControlPlane.Xds;

/// <summary>What one stream wants of one type, and what it was told. Owned by its session, under the session's lock.</summary>
internal sealed class Subscription(string typeUrl)
{
    public string TypeUrl => typeUrl;

    public SortedSet<string> Names { get; } = new(StringComparer.Ordinal);

    /// <summary>By name, what was sent last; a missing answer is one that said "does not exist". Dropped on unsubscription, so that the next one resends.</summary>
    public Dictionary<string, Answer> Sent { get; } = new(StringComparer.Ordinal);

    /// <summary>Of the last response; empty before the first.</summary>
    public string Nonce { get; set; } = string.Empty;

    public string VersionSent { get; set; } = string.Empty;

    public string VersionAcked { get; set; } = string.Empty;

    public SubscriptionState State { get; private set; }

    /// <summary>Since when the client lags behind what is current, a timestamp; null while it does not.</summary>
    public long? LaggingSince { get; private set; }

    /// <summary>When the last response was sent, a timestamp.</summary>
    public long SentAt { get; private set; }

    public void Sending(long timestamp)
    {
        State = SubscriptionState.Sent;
        SentAt = timestamp;
        LaggingSince ??= timestamp;
    }

    public void Acknowledged()
    {
        State = SubscriptionState.Acked;
        LaggingSince = null;
    }

    public void Refused() => State = SubscriptionState.Nacked;

    public string? LastNack { get; set; }

    /// <summary>Of the trust bundle: the version that the client took last.</summary>
    public string? Held { get; set; }
}

internal enum SubscriptionState
{
    /// <summary>Nothing sent, or the last response is not answered yet.</summary>
    Sent,
    Acked,
    Nacked,
}
