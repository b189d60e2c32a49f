using System.Collections.Immutable;
using System.Globalization;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads RetryPolicy: what is tried again, how often and how soon, and how much of it there may be.</summary>
internal static class RetryPolicyReader
{
    public static readonly PolicyKind Kind = new("RetryPolicy", [.. PolicyKind.Services, .. PolicyKind.Routes], Read);

    private static void Read(PolicyFields fields)
    {
        var spec = fields.Spec;
        fields.Integer(spec, "attempts", RetrySettings.Attempts, 0, 4);
        ReadConditions(fields);
        fields.Time(spec, "perTryTimeout", TimeoutSettings.Attempt, zero: "none");
        if (spec.Map("backoff") is { } backoff)
        {
            var first = fields.Time(backoff, "base", RetrySettings.BackoffBase);
            var longest = fields.Time(backoff, "max", RetrySettings.BackoffMax);
            PolicyFields.NotLonger(backoff, "base", first, "backoff.max", longest);
            backoff.Close();
        }

        fields.OnlyForServices(spec, "budget");
        if (spec.Map("budget") is { } budget)
        {
            fields.Integer(budget, "percent", RetrySettings.BudgetPercent, 0, 100);
            fields.Integer(budget, "minPerSecond", RetrySettings.BudgetMinPerSecond, 0, 100_000);
            budget.Close();
        }

        ReadHedging(fields);
    }

    private static void ReadConditions(PolicyFields fields)
    {
        var spec = fields.Spec;
        if (spec.Find("retryOn") is not null)
        {
            var words = ImmutableArray.CreateBuilder<string>();
            foreach (var (word, node, path) in spec.Texts("retryOn"))
            {
                if (word is "retriable-status-codes" or "retriable-headers")
                {
                    spec.Problems.Refuse(node, $"{path} is '{word}'. Leave it out: {(word.EndsWith("codes", StringComparison.Ordinal) ? "statusCodes" : "headers")} says it.");
                }
                else if (!RetrySettings.Words.Contains(word))
                {
                    spec.Problems.Refuse(node, $"{path} is '{word}'. Use {string.Join(", ", RetrySettings.Words)}.{Suggestion.For(word, RetrySettings.Words)}");
                }
                else if (!words.Contains(word))
                {
                    words.Add(word);
                }
            }

            fields.Add(spec, "retryOn", RetrySettings.On, words.ToImmutable());
        }

        if (spec.Find("statusCodes") is { } codes)
        {
            fields.Add(spec, "statusCodes", RetrySettings.StatusCodes, Codes(spec, codes));
        }

        if (spec.Find("headers") is not null)
        {
            fields.Add(spec, "headers", RetrySettings.Headers, RouteFields.NameValues(spec, "headers", lowerCase: true));
        }
    }

    private static ImmutableArray<int> Codes(YamlMap spec, ManifestNode list)
    {
        var codes = new SortedSet<int>();
        foreach (var item in list.IsList ? list.Items : [list])
        {
            if (list.IsList && item.Plain is { } plain
                && int.TryParse(plain, CultureInfo.InvariantCulture, out var code) && code is >= 400 and <= 599)
            {
                codes.Add(code);
            }
            else
            {
                spec.Problems.Refuse(item, $"{spec.Field("statusCodes")} has {YamlMap.Show(item)}. Write a list of status codes from 400 to 599.");
            }
        }

        return [.. codes];
    }

    private static void ReadHedging(PolicyFields fields)
    {
        if (fields.Spec.Map("hedging") is not { } hedging)
        {
            return;
        }

        var percentile = hedging.Integer("percentile", 50, 99);
        var delay = PolicyFields.Length(hedging, "delay");
        var attempts = hedging.Integer("maxAttempts", 1, 4) ?? 2;
        hedging.Close();
        if (percentile is null && delay is null && attempts > 1 && !hedging.Problems.Refused)
        {
            hedging.Missing("percentile", "Say when the next attempt is sent: percentile (50–99) of the recent latencies, delay, or both (delay is then the shortest wait).");
        }

        fields.Add(fields.Spec, "hedging", RetrySettings.Hedging, attempts == 1 ? Hedging.Off : new Hedging(percentile ?? 0, delay ?? TimeSpan.Zero, attempts));
    }
}
