namespace Mesh.Traffic;

/// <summary>Paths that can be read in more than one way, and the one reading of those that have a safe one. Pure.</summary>
/// <remarks>
/// A server like Kestrel has decoded the path once and removed its dot segments. Ambiguous is what another reader would take for something else: an encoded slash, whatever
/// is still encoded after that (invalid UTF-8, encoded twice), backslashes, empty segments, control characters, dot segments that survived, and a fragment.
/// </remarks>
internal static class CanonicalPath
{
    /// <param name="path">Decoded once.</param>
    /// <param name="target">The request target as it came.</param>
    public static bool IsAmbiguous(ReadOnlySpan<char> path, ReadOnlySpan<char> target) => HasEmptySegment(path) || HasNoReading(path, target);

    /// <summary>The reading with its empty segments left out; null when there is none that is safe.</summary>
    /// <inheritdoc cref="IsAmbiguous"/>
    public static string? Normalize(string path, ReadOnlySpan<char> target)
    {
        if (HasNoReading(path, target))
        {
            return null;
        }

        if (!HasEmptySegment(path))
        {
            return path;
        }

        var kept = new System.Text.StringBuilder(path.Length);
        foreach (var c in path)
        {
            if (c != '/' || kept.Length == 0 || kept[^1] != '/')
            {
                kept.Append(c);
            }
        }

        return kept.ToString();
    }

    // A slash at the end is no empty segment: routing ignores it.
    private static bool HasEmptySegment(ReadOnlySpan<char> path) => path.Contains("//", StringComparison.Ordinal);

    private static bool HasNoReading(ReadOnlySpan<char> path, ReadOnlySpan<char> target)
    {
        var start = 0;
        for (var i = 0; i < path.Length; i++)
        {
            var c = path[i];
            if (c is '\\' || char.IsControl(c) || (c == '%' && i + 2 < path.Length && char.IsAsciiHexDigit(path[i + 1]) && char.IsAsciiHexDigit(path[i + 2])))
            {
                return true;
            }

            if (c == '/')
            {
                if (IsDots(path[start..i]))
                {
                    return true;
                }

                start = i + 1;
            }
        }

        return IsDots(path[start..]) || IsAmbiguousTarget(target);
    }

    /// <summary><c>.</c> and <c>..</c>, also with a parameter, as some servers take it off.</summary>
    private static bool IsDots(ReadOnlySpan<char> segment)
    {
        var parameter = segment.IndexOf(';');
        return (parameter < 0 ? segment : segment[..parameter]) is "." or "..";
    }

    /// <summary>A target has no fragment (RFC 9112 §3.2). In the absolute form Kestrel decodes slashes too, and takes backslashes for them: there the target itself tells.</summary>
    private static bool IsAmbiguousTarget(ReadOnlySpan<char> target)
    {
        if (target.Contains('#'))
        {
            return true;
        }

        if (target is [] or ['/', ..])
        {
            return false;
        }

        var query = target.IndexOf('?');
        var path = query < 0 ? target : target[..query];
        return path.Contains('\\') || path.Contains("%2f", StringComparison.OrdinalIgnoreCase) || path.Contains("%5c", StringComparison.OrdinalIgnoreCase)
            || path.Contains("%25", StringComparison.Ordinal);
    }
}
