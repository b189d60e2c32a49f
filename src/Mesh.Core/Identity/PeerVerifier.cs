using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Decides whether the other end of a TLS connection is who it must be: chain to our bundle, a leaf that may be one, the SPIFFE ID, nothing of it revoked.</summary>
internal static class PeerVerifier
{
    private const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";
    private const string AnyPurpose = "2.5.29.37.0";

    /// <inheritdoc cref="Verify"/>
    public static bool TryVerify(
        TrustBundle bundle, X509Certificate? certificate, SslPolicyErrors errors, SpiffeId? expected,
        [NotNullWhen(true)] out SpiffeId? id, [NotNullWhen(false)] out string? problem)
    {
        var refusal = Verify(bundle, certificate, null, errors, expected, peerIsServer: false, out id);
        problem = refusal?.Problem;
        return refusal is null;
    }

    /// <summary>Null when the peer is believed; <paramref name="id"/> is set then.</summary>
    /// <param name="chain">What SslStream built with the bundle's chain policy; null judges revoked serials by the leaf alone.</param>
    /// <param name="errors">What SslStream found with that policy; the host name is not a SPIFFE peer's business.</param>
    /// <param name="expected">The only identity to accept; null accepts every identity of the bundle's trust domain.</param>
    /// <param name="peerIsServer">Which end of TLS the peer is: its certificate must be good for that.</param>
    public static PeerRefusal? Verify(
        TrustBundle bundle, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors, SpiffeId? expected, bool peerIsServer, out SpiffeId? id)
    {
        id = null;
        if (certificate is not X509Certificate2 leaf)
        {
            return new(PeerRefusals.NoCertificate, "The peer sent no certificate.");
        }

        if ((errors & SslPolicyErrors.RemoteCertificateChainErrors) != 0)
        {
            return ChainProblem(bundle, leaf, chain);
        }

        if (LeafProblem(leaf, peerIsServer) is { } unfit)
        {
            return unfit;
        }

        if (!SpiffeCertificate.TryReadId(leaf, out id, out var problem))
        {
            return new(PeerRefusals.MalformedId, problem);
        }

        var refusal = IdProblem(bundle, id, expected) ?? SerialProblem(bundle, id, leaf, chain);
        id = refusal is null ? id : null;
        return refusal;
    }

    /// <summary>Judges a peer of a foreign kind: chain to our bundle, nothing of it revoked; whose name it must have is for the caller to say.</summary>
    public static PeerRefusal? VerifyForeign(TrustBundle bundle, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors, out Peer? peer)
    {
        peer = null;
        if (certificate is not X509Certificate2 leaf || chain is null)
        {
            return new(PeerRefusals.NoCertificate, "The peer sent no certificate.");
        }

        if ((errors & SslPolicyErrors.RemoteCertificateChainErrors) != 0)
        {
            return ChainProblem(bundle, leaf, chain);
        }

        peer = Peer.From(SpiffeCertificate.TryReadId(leaf, out var id, out _) ? id : null, chain);
        return Recheck(bundle, peer);
    }

    /// <summary>Whether a peer that was believed at its handshake would still be: null when it would. Its time is not looked at.</summary>
    public static PeerRefusal? Recheck(TrustBundle bundle, Peer peer)
    {
        if (!bundle.HasRoot(peer.Root))
        {
            return new(PeerRefusals.RootDropped, $"The root that vouches for '{peer}' is no longer in the trust bundle of '{bundle.TrustDomain}'.");
        }

        return peer.Id is not null && bundle.RevokedIds.Contains(peer.Id) ? RevokedId(peer.Id) : SerialProblem(bundle, peer.ToString(), peer.Serials);
    }

    private static PeerRefusal? IdProblem(TrustBundle bundle, SpiffeId id, SpiffeId? expected)
    {
        if (id.TrustDomain != bundle.TrustDomain)
        {
            return new(PeerRefusals.TrustDomain, $"The peer is '{id}', of another trust domain than '{bundle.TrustDomain}'.");
        }

        if (expected is not null && id != expected)
        {
            return new(PeerRefusals.UnexpectedId, $"The peer is '{id}', expected '{expected}'.");
        }

        return bundle.RevokedIds.Contains(id) ? RevokedId(id) : null;
    }

    private static PeerRefusal? SerialProblem(TrustBundle bundle, SpiffeId id, X509Certificate2 leaf, X509Chain? chain)
    {
        if (bundle.RevokedSerials.Count == 0)
        {
            return null;
        }

        return chain is null
            ? SerialProblem(bundle, id.ToString(), [TrustBundle.SerialOf(leaf)])
            : SerialProblem(bundle, id.ToString(), Peer.From(id, chain).Serials);
    }

    private static PeerRefusal? SerialProblem(TrustBundle bundle, string name, IReadOnlyList<string> serials)
    {
        foreach (var serial in serials)
        {
            if (bundle.RevokedSerials.Contains(serial))
            {
                return new(PeerRefusals.RevokedSerial, $"The certificate {serial} in the chain of '{name}' is revoked.");
            }
        }

        return null;
    }

    private static PeerRefusal RevokedId(SpiffeId id) => new(PeerRefusals.RevokedId, $"The identity '{id}' is revoked.");

    /// <summary>X509-SVID §4.1, §4.3, §4.4: a leaf signs no certificates, does sign handshakes, and is for this end of TLS when it names purposes.</summary>
    private static PeerRefusal? LeafProblem(X509Certificate2 leaf, bool peerIsServer)
    {
        const X509KeyUsageFlags signsCertificates = X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign;
        var usage = X509KeyUsageFlags.None;
        try
        {
            foreach (var extension in leaf.Extensions)
            {
                switch (extension)
                {
                    case X509BasicConstraintsExtension { CertificateAuthority: true }:
                        return new(PeerRefusals.Authority, $"The certificate of '{Name(leaf)}' is an authority's (basic constraints: CA), not a workload's.");
                    case X509KeyUsageExtension { KeyUsages: var given }:
                        usage = given;
                        break;
                    case X509EnhancedKeyUsageExtension { EnhancedKeyUsages: var purposes } when !IsFor(purposes, peerIsServer):
                        return WrongPurpose(leaf, peerIsServer);
                }
            }
        }
        catch (CryptographicException e)
        {
            return new(PeerRefusals.InvalidChain, $"An extension of the certificate of '{Name(leaf)}' is malformed: {e.Message}");
        }

        if ((usage & signsCertificates) != 0)
        {
            return new(PeerRefusals.Authority, $"The certificate of '{Name(leaf)}' may sign certificates (key usage: {usage & signsCertificates}), a workload's may not.");
        }

        return (usage & X509KeyUsageFlags.DigitalSignature) == 0
            ? new(PeerRefusals.KeyUsage, $"The certificate of '{Name(leaf)}' may not sign handshakes (key usage: {usage}, expected {X509KeyUsageFlags.DigitalSignature}).")
            : null;
    }

    private static bool IsFor(OidCollection purposes, bool peerIsServer)
    {
        foreach (var purpose in purposes)
        {
            if (purpose.Value == (peerIsServer ? ServerAuthentication : ClientAuthentication) || purpose.Value == AnyPurpose)
            {
                return true;
            }
        }

        return false;
    }

    private static PeerRefusal WrongPurpose(X509Certificate2 leaf, bool peerIsServer) =>
        new(PeerRefusals.ExtendedKeyUsage, $"The certificate of '{Name(leaf)}' is not for TLS {(peerIsServer ? "servers" : "clients")} (extended key usage).");

    /// <summary>The chain's statuses come all at once; the one that a person has to act on first is told.</summary>
    private static PeerRefusal ChainProblem(TrustBundle bundle, X509Certificate2 leaf, X509Chain? chain)
    {
        var status = X509ChainStatusFlags.NoError;
        foreach (var element in chain?.ChainStatus ?? [])
        {
            status |= element.Status;
        }

        var valid = $"valid {leaf.NotBefore.ToUniversalTime():u} to {leaf.NotAfter.ToUniversalTime():u}";
        // A wrong signature: an authority that has the name of ours, and not its key.
        if (IsIn(status, X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.NotSignatureValid))
        {
            return leaf.SubjectName.RawData.AsSpan().SequenceEqual(leaf.IssuerName.RawData) && chain?.ChainElements.Count <= 1
                ? new(PeerRefusals.SelfSigned, $"The certificate of '{Name(leaf)}' is signed by itself: it does not chain to the trust bundle of '{bundle.TrustDomain}'.")
                : new(PeerRefusals.UnknownAuthority, $"The certificate of '{Name(leaf)}' does not chain to the trust bundle of '{bundle.TrustDomain}' (issued by '{leaf.Issuer}', {valid}).");
        }

        if (IsIn(status, X509ChainStatusFlags.NotValidForUsage) && LeafProblem(leaf, peerIsServer: true) is { } server)
        {
            return server;
        }

        if (IsIn(status, X509ChainStatusFlags.NotValidForUsage) && LeafProblem(leaf, peerIsServer: false) is { } client)
        {
            return client;
        }

        if (IsIn(status, X509ChainStatusFlags.NotTimeValid))
        {
            return TimeProblem(leaf, chain!, valid);
        }

        var said = string.Join("; ", (chain?.ChainStatus ?? []).Select(s => s.StatusInformation.Trim()));
        return new(PeerRefusals.InvalidChain, $"The certificate of '{Name(leaf)}' has no valid chain to the trust bundle of '{bundle.TrustDomain}' ({valid}): {said}");
    }

    private static PeerRefusal TimeProblem(X509Certificate2 leaf, X509Chain chain, string valid)
    {
        // The system's clock, because it is what the chain was judged by.
        var now = chain.ChainPolicy.VerificationTimeIgnored ? TimeProvider.System.GetLocalNow().DateTime : chain.ChainPolicy.VerificationTime;
        if (now < leaf.NotBefore)
        {
            return new(PeerRefusals.NotYetValid, $"The certificate of '{Name(leaf)}' is not valid yet ({valid}; our clock says {now.ToUniversalTime():u}).");
        }

        return now > leaf.NotAfter
            ? new(PeerRefusals.Expired, $"The certificate of '{Name(leaf)}' has expired ({valid}; our clock says {now.ToUniversalTime():u}).")
            : new(PeerRefusals.Expired, $"An issuer in the chain of '{Name(leaf)}' is not valid at our clock's time, {now.ToUniversalTime():u}.");
    }

    private static bool IsIn(X509ChainStatusFlags status, X509ChainStatusFlags any) => (status & any) != 0;

    /// <summary>Its SPIFFE ID as it claims, else its subject.</summary>
    private static string Name(X509Certificate2 leaf) => SpiffeCertificate.TryReadId(leaf, out var id, out _) ? id.ToString() : leaf.Subject;
}
