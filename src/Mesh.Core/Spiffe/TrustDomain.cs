using System.Diagnostics.CodeAnalysis;

namespace Mesh.Spiffe;

/// <summary>The name of a trust root, the authority part of a SPIFFE ID.</summary>
/// <remarks>SPIFFE-ID §2.1: 1–255 characters of <c>a–z 0–9 . - _</c>, lower case. Immutable and thread-safe.</remarks>
public readonly record struct TrustDomain
{
    private readonly string? _name;

    private TrustDomain(string name) => _name = name;

    /// <summary>The name, lower case, without scheme.</summary>
    public string Name => _name ?? string.Empty;

    /// <summary>Reads a trust domain.</summary>
    /// <exception cref="FormatException">The text is no trust domain; the message says why.</exception>
    public static TrustDomain Parse(string text) =>
        TryParse(text, out var domain, out var error) ? domain : throw new FormatException(error);

    internal static bool TryParse(string? text, out TrustDomain domain, [NotNullWhen(false)] out string? error)
    {
        domain = default;
        error = null;
        if (string.IsNullOrEmpty(text) || text.Length > 255)
        {
            error = $"Trust domain '{text}' has {text?.Length ?? 0} characters. Use 1–255.";
            return false;
        }

        foreach (var c in text)
        {
            if (c is not ((>= 'a' and <= 'z') or (>= '0' and <= '9') or '.' or '-' or '_'))
            {
                error = $"Trust domain '{text}' contains '{c}'. Use a–z, 0–9, '.', '-' and '_'.";
                return false;
            }
        }

        domain = new TrustDomain(text);
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}
