using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Mesh.Transparent.Forwarding;

/// <summary>Headers that are of one connection and go no further (RFC 9110 §7.6.1).</summary>
internal static class HopByHop
{
    /// <param name="connection">The message's own Connection header: what it names goes no further either.</param>
    public static bool IsOne(string name, StringValues connection)
    {
        // Told by their first letter and length first: most headers are none.
        switch (name.Length)
        {
            case 2 when Is(name, "TE"):
            case 7 when Is(name, "Upgrade"):
            case 10 when Is(name, "Connection") || Is(name, "Keep-Alive"):
            case 16 when Is(name, "Proxy-Connection"):
            case 17 when Is(name, "Transfer-Encoding"):
                return true;
        }

        return connection.Count > 0 && IsNamed(name, connection);
    }

    /// <summary><c>TE: trailers</c> alone is meaningful beyond (RFC 9110 §10.1.4), and gRPC asks for it.</summary>
    public static bool AsksForTrailers(IHeaderDictionary headers) => headers.TE.Count > 0 && headers.TE.ToString().Contains("trailers", StringComparison.OrdinalIgnoreCase);

    private static bool IsNamed(string name, StringValues connection)
    {
        foreach (var value in connection)
        {
            foreach (var option in value.AsSpan().Split(','))
            {
                if (value.AsSpan(option).Trim().Equals(name, StringComparison.OrdinalIgnoreCase))
                {
                    return true;
                }
            }
        }

        return false;
    }

    private static bool Is(string name, string other) => name.Equals(other, StringComparison.OrdinalIgnoreCase);
}
