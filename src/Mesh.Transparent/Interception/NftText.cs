using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Mesh.Transparent.Interception;

/// <summary>The rules as <c>nft -f</c> would read them: what <see cref="NftBatch"/> says in netlink messages, for people.</summary>
internal static class NftText
{
    /// <summary>The table deleted (when there is one) and made, in one transaction.</summary>
    public static string Replace(RedirectRules rules)
    {
        var text = new StringBuilder();
        text.Append(Remove());
        text.Append(CultureInfo.InvariantCulture, $"table inet {NftBatch.Table} {{\n");
        Chain(text, NftBatch.OutputChain, "output", rules.Output, "oifname");
        text.Append('\n');
        Chain(text, NftBatch.PreroutingChain, "prerouting", rules.Prerouting, "iifname");
        text.Append("}\n");
        return text.ToString();
    }

    /// <summary>Added first, as deleting what is not there would be an error.</summary>
    public static string Remove() => $"add table inet {NftBatch.Table}\ndelete table inet {NftBatch.Table}\n";

    private static void Chain(StringBuilder text, string name, string hook, IReadOnlyList<RedirectRule> rules, string interfaceKey)
    {
        text.Append(CultureInfo.InvariantCulture, $"\tchain {name} {{\n\t\ttype nat hook {hook} priority {NftBatch.Priority}; policy accept;\n");
        foreach (var rule in rules)
        {
            text.Append("\t\t").AppendJoin(' ', Parts(rule, interfaceKey)).Append('\n');
        }

        text.Append("\t}\n");
    }

    private static IEnumerable<string> Parts(RedirectRule rule, string interfaceKey)
    {
        if (rule.IpV6Only)
        {
            yield return "meta nfproto ipv6";
        }

        if (rule.Uid is { } uid)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"meta skuid {uid}");
        }

        if (rule.Gid is { } gid)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"meta skgid {gid}");
        }

        if (rule.Interface is { } name)
        {
            yield return $"{interfaceKey} \"{name}\"";
        }

        if (rule.Subnet is { } subnet)
        {
            yield return $"{(subnet.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? "ip" : "ip6")} daddr {subnet}";
        }

        if (rule.Ports is { } ports)
        {
            yield return $"tcp dport {ports}";
        }
        else if (rule.To is not null)
        {
            yield return "meta l4proto tcp";
        }

        yield return rule.To is { } to ? string.Create(CultureInfo.InvariantCulture, $"redirect to :{to}") : "return";
        yield return $"comment \"{rule.Why}\"";
    }
}
