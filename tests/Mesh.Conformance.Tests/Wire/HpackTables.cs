namespace Mesh.Conformance.Tests.Wire;

/// <summary>RFC 7541 §2.3: the static table (Appendix A), then the dynamic one, newest first.</summary>
internal sealed class HpackTables
{
    public const int StaticCount = 61;

    private static readonly (string Name, string Value)[] _static =
    [
        (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"), (":scheme", "http"), (":scheme", "https"),
        (":status", "200"), (":status", "204"), (":status", "206"), (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"),
        ("accept-charset", ""), ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
        ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""), ("content-disposition", ""),
        ("content-encoding", ""), ("content-language", ""), ("content-length", ""), ("content-location", ""), ("content-range", ""), ("content-type", ""),
        ("cookie", ""), ("date", ""), ("etag", ""), ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
        ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""), ("location", ""), ("max-forwards", ""),
        ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""), ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""),
        ("set-cookie", ""), ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""), ("www-authenticate", ""),
    ];

    private readonly LinkedList<(string Name, string Value)> _dynamic = [];

    /// <summary>The most that we allowed by SETTINGS_HEADER_TABLE_SIZE.</summary>
    public int Limit { get; set; } = 4096;

    public int Capacity { get; private set; } = 4096;

    public int Size { get; private set; }

    public int Count => _dynamic.Count;

    public (string Name, string Value) this[int index] => index switch
    {
        < 1 => throw new HpackException("index 0"),
        <= StaticCount => _static[index - 1],
        _ when index <= StaticCount + _dynamic.Count => _dynamic.ElementAt(index - StaticCount - 1),
        _ => throw new HpackException($"index {index} of {StaticCount + _dynamic.Count}"),
    };

    public void Resize(int capacity)
    {
        if (capacity > Limit)
        {
            throw new HpackException($"table size {capacity} above the limit {Limit}");
        }

        Capacity = capacity;
        Evict(0);
    }

    public void Add(string name, string value)
    {
        // RFC 7541 §4.1: 32 is for what an entry costs beside its text.
        var size = name.Length + value.Length + 32;
        Evict(size);
        if (size <= Capacity)
        {
            _dynamic.AddFirst((name, value));
            Size += size;
        }
    }

    private void Evict(int room)
    {
        while (Size + room > Capacity && _dynamic.Last is { } last)
        {
            Size -= last.Value.Name.Length + last.Value.Value.Length + 32;
            _dynamic.RemoveLast();
        }
    }
}
