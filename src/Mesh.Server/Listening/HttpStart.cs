using System.Buffers;

namespace Mesh.Server.Listening;

/// <summary>Tells whether bytes begin as an HTTP request does: a method and a space (RFC 9112 §3), or HTTP/2's preface (RFC 9113 §3.4).</summary>
internal static class HttpStart
{
    /// <summary>Longer methods are nobody's.</summary>
    private const int LongestMethod = 32;

    // RFC 9110 §5.6.2, token; a method's case is the app's business.
    private static readonly SearchValues<byte> _token = SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    /// <summary>Null when there are too few bytes to tell.</summary>
    public static bool? Is(ReadOnlySequence<byte> bytes)
    {
        Span<byte> start = stackalloc byte[LongestMethod + 3];
        var length = (int)Math.Min(bytes.Length, start.Length);
        bytes.Slice(0, length).CopyTo(start);
        start = start[..length];
        // Servers skip empty lines before a request line (RFC 9112 §2.2).
        while (start is [(byte)'\r' or (byte)'\n', ..])
        {
            start = start[1..];
        }

        var end = start.IndexOfAnyExcept(_token);
        if (end < 0)
        {
            return start.Length > LongestMethod ? false : null;
        }

        return end > 0 && end <= LongestMethod && start[end] == (byte)' ';
    }
}
