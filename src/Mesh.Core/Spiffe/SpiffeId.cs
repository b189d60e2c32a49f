using System.Diagnostics.CodeAnalysis;

namespace Mesh.Spiffe;

/// <summary>Who a workload is: <c>spiffe://&lt;trust domain&gt;/ns/&lt;namespace&gt;/sa/&lt;service account&gt;</c> in this mesh, any path elsewhere.</summary>
/// <remarks>SPIFFE-ID §2: at most 2,048 bytes, no query, fragment, port, user info, percent-encoding, empty or dot segments. Immutable and thread-safe.</remarks>
public sealed record SpiffeId
{
    private const string Scheme = "spiffe://";

    private SpiffeId(TrustDomain trustDomain, string path)
    {
        TrustDomain = trustDomain;
        Path = path;
        if (path.Split('/') is ["", "ns", var ns, "sa", var sa])
        {
            (Namespace, ServiceAccount) = (ns, sa);
        }
    }

    /// <summary>The trust domain that vouches for this identity.</summary>
    public TrustDomain TrustDomain { get; }

    /// <summary>The path with its leading slash; empty for the trust domain itself.</summary>
    public string Path { get; }

    /// <summary>The Kubernetes namespace, when the path has the form <c>/ns/…/sa/…</c>; else null.</summary>
    public string? Namespace { get; }

    /// <summary>The Kubernetes service account, when the path has the form <c>/ns/…/sa/…</c>; else null.</summary>
    public string? ServiceAccount { get; }

    /// <summary>The identity of a service account.</summary>
    /// <exception cref="FormatException">A part holds characters that no SPIFFE path segment may hold.</exception>
    public static SpiffeId ForServiceAccount(TrustDomain trustDomain, string @namespace, string serviceAccount) =>
        Parse($"{Scheme}{trustDomain}/ns/{@namespace}/sa/{serviceAccount}");

    /// <summary>Reads a SPIFFE ID.</summary>
    /// <exception cref="FormatException">The text is no SPIFFE ID; the message says why.</exception>
    public static SpiffeId Parse(string text) =>
        TryParse(text, out var id, out var error) ? id : throw new FormatException(error);

    /// <summary>Reads a SPIFFE ID without throwing.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out SpiffeId? id) => TryParse(text, out id, out _);

    internal static bool TryParse(string? text, [NotNullWhen(true)] out SpiffeId? id, [NotNullWhen(false)] out string? error)
    {
        id = null;
        if (text is null || text.Length > 2048 || !text.StartsWith(Scheme, StringComparison.Ordinal))
        {
            error = $"SPIFFE ID '{Shorten(text)}' must start with '{Scheme}' and have at most 2,048 characters.";
            return false;
        }

        var rest = text[Scheme.Length..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        var path = slash < 0 ? string.Empty : rest[slash..];
        if (!TrustDomain.TryParse(slash < 0 ? rest : rest[..slash], out var domain, out error))
        {
            return false;
        }

        if (path.Length > 0)
        {
            foreach (var segment in path[1..].Split('/'))
            {
                if (segment is "" or "." or ".." || segment.AsSpan().ContainsAnyExcept(PathCharacters))
                {
                    error = $"SPIFFE ID '{Shorten(text)}' has the path segment '{segment}'. Use a–z, A–Z, 0–9, '.', '-' and '_', neither empty nor '.' nor '..'.";
                    return false;
                }
            }
        }

        id = new SpiffeId(domain, path);
        return true;
    }

    private static readonly System.Buffers.SearchValues<char> PathCharacters =
        System.Buffers.SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");

    private static string Shorten(string? text) => text is null ? string.Empty : text.Length <= 100 ? text : text[..100] + "…";

    /// <inheritdoc/>
    public bool Equals(SpiffeId? other) => other is not null && TrustDomain == other.TrustDomain && Path == other.Path;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(TrustDomain, Path);

    /// <inheritdoc/>
    public override string ToString() => $"{Scheme}{TrustDomain}{Path}";
}
