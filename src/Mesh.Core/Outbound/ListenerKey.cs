using System.Globalization;

namespace Mesh.Outbound;

/// <summary>What a call is addressed to: the host and, when it is not the scheme's own, the port. Names a listener without making a string.</summary>
internal readonly record struct ListenerKey(string Host, int Port)
{
    /// <summary>0 stands for the scheme's default port.</summary>
    public static ListenerKey Of(Uri uri) => new(uri.Host, uri.IsDefaultPort || uri.Port < 0 ? 0 : uri.Port);

    /// <summary>The key under which calls look for a listener of this name.</summary>
    public static ListenerKey Parse(string listenerName)
    {
        var colon = listenerName.LastIndexOf(':');
        return colon > 0 && int.TryParse(listenerName.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            ? new(listenerName[..colon], port)
            : new(listenerName, 0);
    }

    /// <summary>The name to ask for (contracts §2).</summary>
    public string Name => Port == 0 ? Host : string.Create(CultureInfo.InvariantCulture, $"{Host}:{Port}");

    public bool Equals(ListenerKey other) => Port == other.Port && string.Equals(Host, other.Host, StringComparison.OrdinalIgnoreCase);

    public override int GetHashCode() => HashCode.Combine(StringComparer.OrdinalIgnoreCase.GetHashCode(Host), Port);
}
