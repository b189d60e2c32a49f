namespace Mesh.Xds;

/// <summary>What the protocol remembers of one resource type: names, version, nonce. Owned by the client's loop.</summary>
internal sealed class XdsTypeState(string url)
{
    public string Url { get; } = url;

    public Dictionary<string, XdsResource> Resources { get; } = new(StringComparer.Ordinal);

    /// <summary>The last version accepted whole. It outlives the stream; the nonce does not (xDS protocol, ACK and NACK).</summary>
    public string Version { get; set; } = string.Empty;

    public string Nonce { get; set; } = string.Empty;

    /// <summary>A name of this type was sent on this stream: from then on an empty list means "none", not "all".</summary>
    public bool NamedOnStream { get; private set; }

    public void StreamOpened()
    {
        Nonce = string.Empty;
        NamedOnStream = false;
    }

    /// <summary>The first message of this type on a stream: all names, and what is held of them.</summary>
    public AdsRequest First() => Named(new AdsRequest(Url, Names(), Names(), [], Version, string.Empty)
    {
        HeldVersions = Resources.Values.Where(r => r.Model is not null).ToDictionary(r => r.Name, r => r.Version, StringComparer.Ordinal),
    });

    public AdsRequest Subscribe(IReadOnlyList<string> added, IReadOnlyList<string> removed) =>
        NamedOnStream ? Named(new AdsRequest(Url, Names(), added, removed, Version, Nonce)) : First();

    /// <param name="error">Null accepts.</param>
    public AdsRequest Answer(string? error) => new(Url, Names(), [], [], Version, Nonce) { IsAnswer = true, Error = error };

    private List<string> Names() => [.. Resources.Keys];

    private AdsRequest Named(AdsRequest request)
    {
        NamedOnStream = true;
        return request;
    }
}
