namespace Mesh.Identity;

/// <summary>Why a peer is not believed.</summary>
/// <param name="Reason">One of <see cref="PeerRefusals"/>: for metrics.</param>
/// <param name="Problem">One sentence for people, with what was seen.</param>
internal sealed record PeerRefusal(string Reason, string Problem)
{
    public override string ToString() => Problem;
}

/// <summary>The words of <see cref="PeerRefusal.Reason"/>: a bounded set.</summary>
internal static class PeerRefusals
{
    public const string NoCertificate = "no_certificate";
    public const string Expired = "expired";
    public const string NotYetValid = "not_yet_valid";

    /// <summary>Its certificate vouches for itself, and the bundle does not hold it.</summary>
    public const string SelfSigned = "self_signed";

    /// <summary>It chains to a root that the bundle does not hold, or to none.</summary>
    public const string UnknownAuthority = "unknown_authority";

    /// <summary>It chains to our roots by certificates that may not do so: constraints, signatures, key usage of issuers.</summary>
    public const string InvalidChain = "invalid_chain";

    /// <summary>Its leaf may sign certificates.</summary>
    public const string Authority = "authority";

    /// <summary>Its leaf lacks digitalSignature.</summary>
    public const string KeyUsage = "key_usage";

    /// <summary>Its leaf is for other purposes than this end of TLS.</summary>
    public const string ExtendedKeyUsage = "extended_key_usage";

    /// <summary>No SPIFFE ID, more than one, or a malformed one.</summary>
    public const string MalformedId = "malformed_id";
    public const string TrustDomain = "trust_domain";
    public const string UnexpectedId = "unexpected_id";
    public const string RevokedId = "revoked_id";
    public const string RevokedSerial = "revoked_serial";

    /// <summary>Of a live connection: the root that vouched for the peer is no longer in the bundle.</summary>
    public const string RootDropped = "root_dropped";
}
