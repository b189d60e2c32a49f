using Mesh.Spiffe;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity;

internal sealed partial class SvidRotator
{
    private static partial class Log
    {
        [LoggerMessage(3000, LogLevel.Information, "Certificate {Generation} of '{Id}' is in force until {NotAfter:u}; renewal at {RenewAt:u}", EventName = nameof(CertificateIssued))]
        public static partial void CertificateIssued(ILogger logger, SpiffeId id, int generation, DateTimeOffset notAfter, DateTimeOffset renewAt);

        [LoggerMessage(3001, LogLevel.Warning, "No certificate: {Problem} Next try at {NextTry:u}", EventName = nameof(CertificateNotIssued))]
        public static partial void CertificateNotIssued(ILogger logger, string problem, DateTimeOffset nextTry);

        [LoggerMessage(3002, LogLevel.Debug, "Still no certificate: {Problem} Next try at {NextTry:u}", EventName = nameof(CertificateStillNotIssued))]
        public static partial void CertificateStillNotIssued(ILogger logger, string problem, DateTimeOffset nextTry);

        [LoggerMessage(3003, LogLevel.Error, "No certificate: {Problem} Next try at {NextTry:u}", EventName = nameof(CertificateRefused))]
        public static partial void CertificateRefused(ILogger logger, string problem, DateTimeOffset nextTry, Exception? exception);

        [LoggerMessage(3004, LogLevel.Warning, "The certificate of '{Id}' ends at {NotAfter:u} and could not be renewed so far. Last problem: {Problem}", EventName = nameof(CertificateAging))]
        public static partial void CertificateAging(ILogger logger, SpiffeId id, DateTimeOffset notAfter, string? problem);

        [LoggerMessage(3005, LogLevel.Error, "The certificate of '{Id}' ended at {NotAfter:u}: peers refuse this workload until it is renewed. Last problem: {Problem}", EventName = nameof(CertificateOver))]
        public static partial void CertificateOver(ILogger logger, SpiffeId id, DateTimeOffset notAfter, string? problem);

        [LoggerMessage(3006, LogLevel.Information, "The control plane asks for leaves issued after {IssuedAfter:u}: renewing", EventName = nameof(RenewalAsked))]
        public static partial void RenewalAsked(ILogger logger, DateTimeOffset issuedAfter);

        [LoggerMessage(3007, LogLevel.Critical, "Certificate renewal died: the workload stops working when its certificate ends. Restart it and report this", EventName = nameof(RotationDied))]
        public static partial void RotationDied(ILogger logger, Exception exception);

        [LoggerMessage(3008, LogLevel.Information, "The trust bundle of '{TrustDomain}' changed: {Roots} roots, {RevokedIds} revoked identities, {RevokedSerials} revoked certificates (generation {Generation})", EventName = nameof(TrustChanged))]
        public static partial void TrustChanged(ILogger logger, TrustDomain trustDomain, int roots, int revokedIds, int revokedSerials, int generation);

        [LoggerMessage(3009, LogLevel.Warning, "The certificate of '{Id}' does not chain to the trust bundle that the control plane gives out now: renewing", EventName = nameof(NotVouchedFor))]
        public static partial void NotVouchedFor(ILogger logger, SpiffeId id);

        [LoggerMessage(3010, LogLevel.Warning, "The certificate of '{Id}' begins at {NotBefore:u}, our clock says {Now:u}: the clock is behind. Peers may be refused until it is right", EventName = nameof(ClockIsBehind))]
        public static partial void ClockIsBehind(ILogger logger, SpiffeId id, DateTimeOffset notBefore, DateTimeOffset now);
    }
}
