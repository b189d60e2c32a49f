using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Sources.Manifests.Policies;
using Mesh.ControlPlane.Xds;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Api;

/// <summary>Looks for authorization rules that do nothing, or not what they seem to: what <c>mesh policy lint</c> prints.</summary>
internal sealed class PolicyLint(MeshModel model, ServerDefaults defaults, string trustDomain, IReadOnlyCollection<(string Namespace, string Account)> callers)
{
    private static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "QUERY"];

    private readonly List<LintFinding> _findings = [];

    public static IReadOnlyList<LintFinding> Answer(ModelStore store, MeshControlPlaneOptions options, ClientRegistry clients, IssuanceLog issued, string? @namespace)
    {
        var model = store.Current;
        // Who is known to call: what runs behind Services, what is connected, and what ever got a certificate.
        var callers = model.Services.Values.SelectMany(s => s.Endpoints.Where(e => e.ServiceAccount is not null).Select(e => (s.Name.Namespace, e.ServiceAccount!)))
            .Concat(model.Workloads.Where(w => w.ServiceAccount is not null).Select(w => (w.Namespace, w.ServiceAccount!)))
            .Concat(clients.Clients.Select(c => c.Node.Identity).Concat(issued.Newest.Select(i => SpiffeId.TryParse(i.Identity, out var id) ? id : null))
                .Where(id => id is { Namespace: not null, ServiceAccount: not null }).Select(id => (id!.Namespace!, id.ServiceAccount!)))
            .ToHashSet();
        return [.. new PolicyLint(model, options.Defaults, options.TrustDomain, callers).Run().Where(f => string.IsNullOrEmpty(@namespace) || f.Policy.Contains($" '{@namespace}/", StringComparison.Ordinal))];
    }

    public IReadOnlyList<LintFinding> Run()
    {
        foreach (var policy in model.Policies.Where(p => p.Kind is AuthorizationSettings.Kind or AuthenticationSettings.Kind || p.Kind == ServerPolicyReader.Kind.Name))
        {
            Attachments(policy);
            Peers(policy);
            foreach (var rule in policy.Values.Select(v => v.Value).OfType<AuthorizationRules>().SelectMany(r => r.Rules))
            {
                Names(policy, rule);
            }
        }

        Places();
        return [.. _findings.OrderBy(f => f.Severity, StringComparer.Ordinal).ThenBy(f => f.Where, StringComparer.Ordinal).ThenBy(f => f.Id, StringComparer.Ordinal)];
    }

    private void Attachments(TrafficPolicy policy)
    {
        if (policy.Invalid is { } invalid)
        {
            Find("invalid", "error", policy, null, policy.Where, invalid, "Correct it; it is read again at once.");
        }

        foreach (var refused in policy.Attachments.Where(a => !a.IsAccepted && a.Reason != PolicyReason.Expired))
        {
            Find(refused.Reason == PolicyReason.TargetNotFound ? "no-target" : "refused", "error", policy, null, policy.Where, $"{refused.Target}: {refused.Message}", "Correct the target, or remove it.");
        }
    }

    private void Peers(TrafficPolicy policy)
    {
        foreach (var limit in PeerLimits.Of(policy))
        {
            Find("peers", "warning", policy, null, policy.Where, limit, "Nothing to do where all of its servers are ours (UseMesh() or the sidecar).");
        }
    }

    private void Names(TrafficPolicy policy, AuthorizationRule rule)
    {
        var namespaces = callers.Select(c => c.Namespace).Concat(model.Services.Keys.Select(s => s.Namespace)).ToHashSet(StringComparer.Ordinal);
        foreach (var from in rule.From)
        {
            foreach (var account in from.ServiceAccounts.Where(a => !callers.Contains((a.Namespace, a.Name))))
            {
                Find("unknown-caller", "warning", policy, rule.Name, rule.Where,
                    $"Nothing that is known runs as service account '{account}'.{Suggestion.For(account.Name, callers.Where(c => c.Namespace == account.Namespace).Select(c => c.Account).Distinct().Order(StringComparer.Ordinal))}",
                    "Correct the name; leave it where the caller is still to come.");
            }

            foreach (var ns in from.Namespaces.Where(n => !namespaces.Contains(n)))
            {
                Find("unknown-caller", "warning", policy, rule.Name, rule.Where, $"Nothing that is known runs in namespace '{ns}'.{Suggestion.For(ns, namespaces.Order(StringComparer.Ordinal))}", "Correct the name; leave it where the caller is still to come.");
            }

            foreach (var strange in from.TrustDomains.Concat(from.Identities.Select(TrustDomainOf)).Where(d => d != trustDomain).Distinct(StringComparer.Ordinal))
            {
                Find("strange-trust-domain", "warning", policy, rule.Name, rule.Where, $"Nobody can prove an identity of trust domain '{strange}': this mesh vouches for '{trustDomain}' only.", "Correct the trust domain.");
            }
        }

        foreach (var method in rule.To.SelectMany(t => t.Methods).Where(m => !Methods.Contains(m)).Distinct(StringComparer.Ordinal))
        {
            Find("unknown-method", "warning", policy, rule.Name, rule.Where, $"'{method}' is no method that HTTP knows.{Suggestion.For(method, Methods)}", "Correct it, unless your app has a method of that name.");
        }
    }

    /// <summary>What can only be seen where rules meet. Places where the same meet are looked at once.</summary>
    private void Places()
    {
        var index = new AuthorizationIndex(model, defaults);
        var places = (from service in model.Services.Values
                      from endpoint in service.Endpoints
                      select index.At(service.Name.Namespace, endpoint.ServiceAccount, [endpoint.Address], endpoint.Port))
            .Where(p => p.All.Any())
            .GroupBy(p => (p.Namespace, p.Port, Rules: string.Join('\n', p.All.Select(r => $"{r.Kind} {r.Name}")), Issuers: p.Issuers.Length > 0))
            .Select(g => g.First())
            .ToArray();
        // By rule: what is so at every place where it stands.
        foreach (var group in places.SelectMany(p => p.All.Select(r => (Rule: r, Place: p))).GroupBy(x => (x.Rule.Kind, x.Rule.Name)))
        {
            var rule = group.First().Rule;
            var standing = group.Select(x => x.Place).ToArray();
            var at = Array.ConvertAll(standing, p => p.Rules.Where(r => r.Name != rule.Name && !r.Audit && !rule.Audit));
            if (rule.IsAllow && Common(at, r => r.Rule.Action == RuleAction.Deny && RuleCover.Covers(r.Rule, rule.Rule)) is { } deny)
            {
                Find("shadowed", "error", rule, $"It lets nobody in: rule {deny.Name} ({deny.Rule.Where}) denies all that it matches.", "Narrow the Deny rule, or remove this one.");
            }
            else if (rule.Rule.Action != RuleAction.Audit && Common(at, r => r.Rule.Action == rule.Rule.Action && RuleCover.Covers(r.Rule, rule.Rule) && IsFirst(r, rule)) is { } wider)
            {
                Find("redundant", "warning", rule, $"It changes nothing: rule {wider.Name} ({wider.Rule.Where}) matches all that it matches.", "Remove one of the two.");
            }

            if (rule.Rule.HasClaims && standing.All(p => p.Issuers.IsEmpty))
            {
                Find("claims-without-tokens", rule.IsAllow ? "error" : "warning", rule, "It asks for claims where no RequestAuthentication vouches for tokens: it never matches.", "Attach a RequestAuthentication to the same target.");
            }

            var ports = rule.Rule.To.SelectMany(t => t.Ports).Distinct().ToArray();
            foreach (var port in ports.Where(port => standing.All(p => p.Port != port)))
            {
                Find("no-such-port", "warning", rule, $"None of the workloads that it is about listens on port {port} behind a Service.", $"Use one of {string.Join(", ", standing.Select(p => p.Port).Distinct().Order())}: the port of the workload, not that of the Service.");
            }
        }

        static RuleInForce? Common(IEnumerable<RuleInForce>[] at, Func<RuleInForce, bool> is_) =>
            at.Length == 0 ? null : at[0].FirstOrDefault(r => is_(r) && at.All(other => other.Any(o => o.Name == r.Name)));

        // Of two that match the same the later by name is the redundant one.
        static bool IsFirst(RuleInForce wider, RuleInForce rule) => !RuleCover.Covers(rule.Rule, wider.Rule) || string.CompareOrdinal(wider.Name, rule.Name) < 0;
    }

    private static string TrustDomainOf(string identity) => identity.Split('/') is [_, _, var domain, ..] ? domain : identity;

    private void Find(string id, string severity, RuleInForce rule, string message, string fix) =>
        _findings.Add(new LintFinding(id, severity, $"{rule.Kind} '{rule.Policy}'", rule.Rule.Name, rule.Rule.Where, message, fix));

    private void Find(string id, string severity, TrafficPolicy policy, string? rule, string where, string message, string fix) =>
        _findings.Add(new LintFinding(id, severity, policy.ToString(), rule, where, message, fix));
}
