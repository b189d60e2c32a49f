using Grpc.Core;

namespace Mesh.ControlPlane.Xds;

/// <summary>All that one stream wants, by type, bounded. Owned by its session, under the session's lock.</summary>
internal sealed class Subscriptions
{
    /// <summary>Most names of all types on one stream.</summary>
    private const int MaxNames = 10_000;

    private const int MaxTypes = 32;
    private const int MaxNameLength = 2048;

    private readonly Dictionary<string, Subscription> _types = new(StringComparer.Ordinal);

    public IReadOnlyCollection<Subscription> All => _types.Values;

    public Subscription? Find(string typeUrl) => _types.GetValueOrDefault(typeUrl);

    /// <exception cref="RpcException">It is no type, or there are too many.</exception>
    public Subscription Get(string typeUrl, out bool isNew)
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

    /// <summary>Adds names; those that were new are returned.</summary>
    /// <param name="shared">The string of that name that all streams share: a stream holds many names, and most streams hold the same.</param>
    /// <exception cref="RpcException">It is no name, or there are too many.</exception>
    public List<string> Add(Subscription type, IEnumerable<string> names, Func<string, string> shared)
    {
        var added = new List<string>();
        var total = _types.Values.Sum(t => t.Names.Count);
        foreach (var name in names)
        {
            if (name.Length is 0 or > MaxNameLength)
            {
                throw new RpcException(new Status(StatusCode.InvalidArgument, $"A resource name has {name.Length} characters. Use 1–{MaxNameLength}."));
            }

            if (!type.Names.Add(shared(name)))
            {
                continue;
            }

            if (++total > MaxNames)
            {
                throw new RpcException(new Status(StatusCode.ResourceExhausted, $"One stream can subscribe to at most {MaxNames} resources. Unsubscribe from what is not needed."));
            }

            added.Add(name);
        }

        return added;
    }
}
