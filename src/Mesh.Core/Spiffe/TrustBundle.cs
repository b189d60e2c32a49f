using System.Collections.Frozen;
using System.Security.Cryptography.X509Certificates;

namespace Mesh.Spiffe;

/// <summary>The roots that vouch for a trust domain, and who is not believed although they do. Immutable.</summary>
internal sealed record TrustBundle(TrustDomain TrustDomain, IReadOnlyList<X509Certificate2> Roots)
{
    /// <summary>Identities that are not believed, whatever certificate they show.</summary>
    public FrozenSet<SpiffeId> RevokedIds { get; init; } = [];

    /// <summary>Single certificates that are not believed, leaves and issuers alike, by <see cref="SerialOf"/>.</summary>
    public FrozenSet<string> RevokedSerials { get; init; } = [];

    /// <summary>A certificate's serial number as bundles write it: lower-case hexadecimal without leading zeros.</summary>
    public static string SerialOf(X509Certificate2 certificate)
    {
        var digits = Convert.ToHexStringLower(certificate.SerialNumberBytes.Span).TrimStart('0');
        return digits.Length == 0 ? "0" : digits;
    }

    /// <summary>Whether one of the roots has this thumbprint.</summary>
    public bool HasRoot(string thumbprint)
    {
        foreach (var root in Roots)
        {
            if (root.Thumbprint == thumbprint)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Says the same: roots in any order.</summary>
    public bool Equals(TrustBundle? other) => ReferenceEquals(this, other) || (other is not null
        && TrustDomain == other.TrustDomain
        && Roots.Count == other.Roots.Count
        && Roots.All(root => other.HasRoot(root.Thumbprint))
        && RevokedIds.SetEquals(other.RevokedIds)
        && RevokedSerials.SetEquals(other.RevokedSerials));

    public override int GetHashCode() => HashCode.Combine(TrustDomain, Roots.Count, RevokedIds.Count, RevokedSerials.Count);
}
