namespace Mesh.ControlPlane.Model.Policies;

/// <summary>Which kinds of nodes can't ask all that a policy says, and what they do instead. Nothing is left out silently.</summary>
internal static class PeerLimits
{
    private const string Foreign = "gRPC servers that are not ours";

    public static IEnumerable<string> Of(TrafficPolicy policy)
    {
        foreach (var value in policy.Values)
        {
            if (value.Value is AuthorizationRules rules)
            {
                if (Without(rules, r => r.HasClaims, "claims") is { } claims)
                {
                    yield return $"{Foreign} verify no tokens: there {claims}.";
                }

                if (Without(rules, r => r.From.Any(f => !f.Networks.IsEmpty), "networks") is { } networks)
                {
                    yield return $"{Foreign}, but for those of C-core, can't tell where a connection comes from: there {networks}.";
                }

                string[] audited = [.. rules.Rules.Where(r => rules.Audit || r.Action == RuleAction.Audit).Select(r => r.Name)];
                if (audited.Length > 0)
                {
                    yield return $"{Foreign} have no audit: there {Names(audited)} counts nothing.";
                }
            }
            else if (value.Setting == AuthenticationSettings.Jwt)
            {
                yield return $"{Foreign} verify no tokens: their apps get every request with the token that it came with.";
            }
            else if (value.Setting == ServerSettings.Access && value.Value is AccessMode access && AccessModes.AsksForNetwork(access))
            {
                yield return $"{Foreign}, but for those of C-core, can't tell where a connection comes from: there nobody gets in by access {AccessModes.WordOf(access)}.";
            }
            else if (value.Setting == ServerSettings.Mtls && value.Value is MtlsMode.Strict)
            {
                yield return $"{Foreign} take plaintext or mesh TLS as their own credentials say: start them with xDS credentials.";
            }
        }
    }

    /// <summary>What becomes of rules that ask for what can't be told; null when there are none.</summary>
    private static string? Without(AuthorizationRules rules, Func<AuthorizationRule, bool> asks, string what)
    {
        var found = rules.Rules.Where(asks).ToArray();
        if (found.Length == 0)
        {
            return null;
        }

        string[] allow = [.. found.Where(r => r.Action == RuleAction.Allow).Select(r => r.Name)];
        string[] deny = [.. found.Where(r => r.Action == RuleAction.Deny).Select(r => r.Name)];
        string[] become =
        [
            .. allow.Length > 0 ? (string[])[$"nobody gets in by {Names(allow)}"] : [],
            .. deny.Length > 0 ? (string[])[$"{Names(deny)} refuses without asking for {what}"] : [],
            .. allow.Length + deny.Length == 0 ? (string[])["nothing is counted"] : [],
        ];
        return string.Join(", ", become);
    }

    /// <summary>What opaque ports can't tell of a rule.</summary>
    public static bool NeedsRequests(AuthorizationRule rule) => rule.HasClaims || rule.To.Any(t => t.IsHttp);

    private static string Names(string[] rules) => (rules.Length == 1 ? "rule " : "rules ") + string.Join(", ", rules.Select(r => $"'{r}'"));
}
