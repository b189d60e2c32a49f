using System.Net;

namespace Mesh.Transparent.Inbound;

/// <summary>What <c>mesh-orig-proto</c> says: the version in which a request was written that rode HTTP/2 here.</summary>
/// <param name="Version">Null: as it came.</param>
internal readonly record struct OriginalVersion(Version? Version, bool IsAbsoluteForm)
{
    /// <summary>Anything that is not understood says nothing.</summary>
    public static OriginalVersion Parse(string text)
    {
        var semicolon = text.IndexOf(';', StringComparison.Ordinal);
        var version = (semicolon < 0 ? text.AsSpan() : text.AsSpan(0, semicolon)).Trim() switch
        {
            "HTTP/1.1" => HttpVersion.Version11,
            "HTTP/1.0" => HttpVersion.Version10,
            _ => null,
        };
        return version is null ? default : new OriginalVersion(version, semicolon >= 0 && text.AsSpan(semicolon + 1).Trim() is "absolute-form");
    }
}
