using System.Globalization;
using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>What makes a Service failing or degraded, and what is only worth a look (docs/api.md). Pure.</summary>
internal static class HealthRules
{
    /// <summary>Fewer calls make nobody failing, and say nothing of latency.</summary>
    public const int EnoughCalls = 10;

    public const double FailingShare = 0.10;
    public const double DegradedShare = 0.01;

    /// <summary>Of the hour before, and <see cref="SlowerMs"/> more.</summary>
    public const double SlowerTimes = 3;

    public const double SlowerMs = 10;

    private const double RetryShare = 0.10;

    /// <summary>Data planes acknowledge within milliseconds: one that has not for so long has stopped listening.</summary>
    public static readonly TimeSpan Stale = TimeSpan.FromSeconds(30);

    /// <summary>The level, and every reason, worst first. Of what is measured the reasons have no beginning yet.</summary>
    public static (HealthLevel Level, IReadOnlyList<Reason> Reasons) Judge(ServiceSigns signs)
    {
        var reasons = Reasons(signs).OrderByDescending(r => r.Weight).ToList();
        var rest = signs.Now.Requests > 0 || signs.Now.Connections > 0 || signs.Now.OpenConnections > 0 ? HealthLevel.Ok : HealthLevel.Idle;
        return (reasons.Count > 0 && reasons[0].Weight > rest ? reasons[0].Weight : rest, reasons);
    }

    /// <summary>Of calls that were answered: one that its caller gave up says nothing.</summary>
    public static double FailureShare(GoldenNumbers numbers) => numbers.Failures == 0 ? 0 : (double)numbers.Failures / Math.Max(numbers.Failures, numbers.Requests - numbers.Cancelled);

    /// <summary>From where on a p99 is too slow; null when nothing says what it should be.</summary>
    public static double? SlowFrom(GoldenNumbers before) =>
        before.Requests < EnoughCalls || before.P99Ms <= 0 ? null : Math.Max(before.P99Ms * SlowerTimes, before.P99Ms + SlowerMs);

    private static IEnumerable<Reason> Reasons(ServiceSigns signs)
    {
        var (now, before) = (signs.Now, signs.Before);
        if (signs is { IsPast: false, IsExternal: false, Endpoints.Ready: 0 })
        {
            // Nobody misses a Service that nobody calls.
            var missed = now.Requests > 0 || before.Requests > 0;
            yield return new Reason(ReasonCodes.NoEndpoints, signs.Endpoints.Total == 0 ? "no endpoint" : $"none of {signs.Endpoints.Total} endpoints is ready", LastChange(signs, ChangeKinds.Endpoint))
            {
                Weight = missed ? HealthLevel.Failing : HealthLevel.Idle,
            };
        }

        var failing = FailureShare(now);
        if (failing >= DegradedShare)
        {
            yield return new Reason(ReasonCodes.Failures, $"{Percent(failing)} of calls {(signs.IsPast ? "failed" : "fail")}", null)
            {
                Weight = failing >= FailingShare && now.Requests >= EnoughCalls ? HealthLevel.Failing : HealthLevel.Degraded,
            };
        }

        if (now.Requests >= EnoughCalls && SlowFrom(before) is { } slow && now.P99Ms >= slow)
        {
            yield return new Reason(ReasonCodes.Latency, string.Create(CultureInfo.InvariantCulture, $"p99 {(signs.IsPast ? "was" : "is")} {Ms(now.P99Ms)}, {now.P99Ms / before.P99Ms:0.#} × the hour before"), null) { Weight = HealthLevel.Degraded };
        }

        if (signs.Balancers.Where(b => b.State == "ejected").ToList() is { Count: > 0 } ejected)
        {
            var endpoints = ejected.Select(b => b.Endpoint).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList();
            var callers = ejected.Select(b => b.Source).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal);
            yield return new Reason(ReasonCodes.Ejected, $"{Some(endpoints)} {(endpoints.Count == 1 ? "is" : "are")} ejected by {Some(callers)}", LastChange(signs, ChangeKinds.Endpoint)) { Weight = HealthLevel.Degraded };
        }

        if (signs.Ejections > 0)
        {
            yield return new Reason(ReasonCodes.Ejected, $"endpoints were ejected {signs.Ejections} {(signs.Ejections == 1 ? "time" : "times")}", LastChange(signs, ChangeKinds.Endpoint)) { Weight = HealthLevel.Degraded };
        }

        if (signs.Denied > 0)
        {
            yield return new Reason(ReasonCodes.Denied, $"{Count(signs.Denied, "request")} denied by access rules", null) { Weight = HealthLevel.Degraded };
        }

        foreach (var client in signs.Lagging.Where(c => c.Refused is not null).Take(1))
        {
            yield return new Reason(ReasonCodes.Nack, $"{client.Node} refused its configuration: {client.Refused}", client.Since) { Weight = HealthLevel.Degraded };
        }

        foreach (var certificate in signs.LateCertificates.Take(1))
        {
            yield return new Reason(
                ReasonCodes.Certificate, string.Create(CultureInfo.InvariantCulture, $"the certificate of {certificate.Node} ends at {certificate.NotAfter.UtcDateTime:yyyy-MM-dd HH:mm} UTC and was not renewed"), certificate.Since)
            {
                Weight = HealthLevel.Degraded,
            };
        }

        // What follows tells why, or what to look at; it takes nothing from the service's health.
        foreach (var client in signs.Lagging.Where(c => c.Refused is null && c.StaleSeconds >= Stale.TotalSeconds).Take(1))
        {
            yield return new Reason(ReasonCodes.StaleConfig, string.Create(CultureInfo.InvariantCulture, $"{client.Node} has not acknowledged its configuration for {client.StaleSeconds:0} s"), client.Since);
        }

        foreach (var fault in signs.Faults)
        {
            yield return new Reason(ReasonCodes.Fault, $"a fault is injected on purpose: {fault.Text}", fault.Since);
        }

        if (signs.Shed > 0)
        {
            yield return new Reason(ReasonCodes.Shed, $"{Count(signs.Shed, "request")} turned away by limits", null);
        }

        if (now.Requests >= EnoughCalls && (double)now.Retries / now.Requests >= RetryShare)
        {
            yield return new Reason(ReasonCodes.Retries, $"{Percent((double)now.Retries / now.Requests)} retries on top of its calls", null);
        }

        if (now.Requests > 0 && now.MtlsShare < 1)
        {
            yield return new Reason(ReasonCodes.Plaintext, $"{Percent(1 - now.MtlsShare)} of calls {(signs.IsPast ? "were" : "are")} in plaintext", null);
        }
    }

    /// <summary>Shares as people read them: never "0.0 %" of something that is there.</summary>
    public static string Percent(double share) =>
        share is > 0 and < 0.0005 ? "< 0.1 %" : string.Create(CultureInfo.InvariantCulture, $"{share * 100:0.0} %");

    public static string Ms(double ms) => string.Create(CultureInfo.InvariantCulture, $"{(ms >= 100 ? Math.Round(ms) : Math.Round(ms, 1))} ms");

    private static string Count(long count, string what) => string.Create(CultureInfo.InvariantCulture, $"{count} {what}{(count == 1 ? string.Empty : "s")}");

    private static string Some(IEnumerable<string> names)
    {
        var all = names.ToList();
        return all.Count <= 3 ? string.Join(", ", all) : $"{string.Join(", ", all.Take(3))} and {all.Count - 3} more";
    }

    private static DateTimeOffset? LastChange(ServiceSigns signs, string kind) =>
        signs.Changes.FirstOrDefault(c => c.Kind == kind)?.At;
}
