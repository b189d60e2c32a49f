using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What RetryPolicy says.</summary>
internal static class RetrySettings
{
    /// <summary>What no server can have done twice.</summary>
    public static readonly ImmutableArray<string> Connection = ["connect-failure", "refused-stream", "reset"];

    /// <summary>Words of <c>retryOn</c>, as Envoy and gRFC A44 name them. Statuses and headers have fields of their own.</summary>
    public static readonly ImmutableArray<string> Words =
    [
        "5xx", "gateway-error", "retriable-4xx", "reset", "reset-before-request", "connect-failure", "refused-stream",
        "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
    ];

    public static readonly Setting<int> Attempts = new("retry.attempts", 2, n => n == 0 ? "0 (no retries)" : Shown.Number(n));

    public static readonly Setting<ImmutableArray<string>> On =
        new("retry.retryOn", [.. Connection, "gateway-error"], words => Shown.List(words, w => w)) { Matters = Retries };

    public static readonly Setting<ImmutableArray<int>> StatusCodes =
        new("retry.statusCodes", [], codes => Shown.List(codes, Shown.Number)) { Matters = Retries };

    /// <summary>Response headers, any of which asks for another attempt.</summary>
    public static readonly Setting<ImmutableArray<NameValueMatch>> Headers =
        new("retry.headers", [], headers => Shown.List(headers, h => h.ToString())) { Matters = s => Retries(s) && s.Get(Headers!).Length > 0 };

    public static readonly Setting<TimeSpan> BackoffBase = new("retry.backoff.base", TimeSpan.FromMilliseconds(25), Shown.Length) { Matters = Retries };

    /// <summary>Zero is ten times the base.</summary>
    public static readonly Setting<TimeSpan> BackoffMax =
        new("retry.backoff.max", TimeSpan.Zero, time => time == TimeSpan.Zero ? "10 x base" : Shown.Length(time)) { Matters = Retries };

    public static readonly Setting<int> BudgetPercent = new("retry.budget.percent", 20, n => $"{Shown.Percent(n)} of calls");

    public static readonly Setting<int> BudgetMinPerSecond = new("retry.budget.minPerSecond", 10, Shown.Number);

    public static readonly Setting<Hedging> Hedging = new("retry.hedging", Policies.Hedging.Off, h => h.ToString());

    public static readonly ImmutableArray<Setting> All =
        [Attempts, On, StatusCodes, Headers, BackoffBase, BackoffMax, BudgetPercent, BudgetMinPerSecond, Hedging];

    private static bool Retries(EffectiveSettings settings) => settings.Get(Attempts) > 0;
}

/// <summary>A second attempt beside the first. One value: its parts belong together.</summary>
/// <param name="Percentile">50–99, or 0: by <paramref name="Delay"/> alone.</param>
/// <param name="Delay">The wait; with a percentile the shortest one.</param>
/// <param name="MaxAttempts">In all, 2–4; 1 is off.</param>
internal sealed record Hedging(int Percentile, TimeSpan Delay, int MaxAttempts)
{
    public static readonly Hedging Off = new(0, TimeSpan.Zero, 1);

    public bool IsOn => MaxAttempts > 1;

    public override string ToString() => !IsOn ? "off"
        : $"{MaxAttempts - 1} more after {(Percentile == 0 ? Shown.Length(Delay) : Delay == TimeSpan.Zero ? $"p{Percentile}" : $"p{Percentile}, at least {Shown.Length(Delay)}")}";
}
