using Mesh.Traffic;

namespace Mesh.Outbound;

/// <summary>Keeps what was verified of a user's token, and what sidecars tell each other, inside the mesh: it is no business of anybody to whom we show no identity, and nothing they could believe.</summary>
internal static class MeshOnlyHeaders
{
    /// <summary>Takes the headers out of a request that leaves the mesh; what it returns gives them back. Null when there are none.</summary>
    public static RequestBefore? TakeOut(HttpRequestMessage request)
    {
        List<string>? names = null;
        foreach (var header in request.Headers.NonValidated)
        {
            if (header.Key.StartsWith(MeshHeaders.ClaimPrefix, StringComparison.OrdinalIgnoreCase) || header.Key.Equals(MeshHeaders.OriginalProtocol, StringComparison.OrdinalIgnoreCase))
            {
                (names ??= []).Add(header.Key);
            }
        }

        if (names is null)
        {
            return null;
        }

        var before = new RequestBefore(request, [.. names]);
        foreach (var name in names)
        {
            request.Headers.Remove(name);
        }

        return before;
    }
}
