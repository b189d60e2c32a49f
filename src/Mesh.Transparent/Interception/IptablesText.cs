using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Mesh.Transparent.Interception;

/// <summary>The rules of one IP family as <c>iptables-restore --noflush</c> reads them: two chains of our own in table nat, and a jump to each.</summary>
/// <remarks>
/// Naming a chain in the text makes it or empties it, but a jump is added each time: so those that <c>iptables-save</c> shows are deleted first, in the same
/// transaction. One rule per port range and no comments: neither xt_multiport nor xt_comment is needed.
/// </remarks>
internal static class IptablesText
{
    public const string OutputChain = "MESH_OUTPUT";
    public const string PreroutingChain = "MESH_PREROUTING";
    private const string OutputJump = "OUTPUT -p tcp -j " + OutputChain;
    private const string PreroutingJump = "PREROUTING -p tcp -j " + PreroutingChain;

    /// <param name="saved">What <c>iptables-save -t nat</c> shows now.</param>
    public static string Replace(RedirectRules rules, AddressFamily family, string saved)
    {
        var text = new StringBuilder("*nat\n");
        text.Append(CultureInfo.InvariantCulture, $":{OutputChain} - [0:0]\n:{PreroutingChain} - [0:0]\n");
        DeleteJumps(text, saved);
        Rules(text, OutputChain, "-o", rules.Output, family);
        Rules(text, PreroutingChain, "-i", rules.Prerouting, family);
        text.Append(CultureInfo.InvariantCulture, $"-A {OutputJump}\n-A {PreroutingJump}\nCOMMIT\n");
        return text.ToString();
    }

    /// <returns>Null when there is nothing of ours.</returns>
    public static string? Remove(string saved)
    {
        var text = new StringBuilder("*nat\n");
        var empty = text.Length;
        DeleteJumps(text, saved);
        foreach (var chain in (string[])[OutputChain, PreroutingChain])
        {
            if (Lines(saved).Any(line => line.StartsWith($":{chain} ", StringComparison.Ordinal)))
            {
                text.Append(CultureInfo.InvariantCulture, $"-F {chain}\n-X {chain}\n");
            }
        }

        return text.Length == empty ? null : text.Append("COMMIT\n").ToString();
    }

    private static string[] Lines(string saved) => saved.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static void DeleteJumps(StringBuilder text, string saved)
    {
        foreach (var line in Lines(saved).Where(line => line is $"-A {OutputJump}" or $"-A {PreroutingJump}"))
        {
            text.Append(CultureInfo.InvariantCulture, $"-D {line[3..]}\n");
        }
    }

    private static void Rules(StringBuilder text, string chain, string interfaceFlag, IReadOnlyList<RedirectRule> rules, AddressFamily family)
    {
        foreach (var rule in rules.Where(rule => !rule.IpV6Only && (rule.Subnet is not { } subnet || subnet.BaseAddress.AddressFamily == family)))
        {
            text.Append(CultureInfo.InvariantCulture, $"-A {chain} ").AppendJoin(' ', Parts(rule, interfaceFlag)).Append('\n');
        }
    }

    private static IEnumerable<string> Parts(RedirectRule rule, string interfaceFlag)
    {
        if (rule.Uid is { } uid)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"-m owner --uid-owner {uid}");
        }

        if (rule.Gid is { } gid)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"-m owner --gid-owner {gid}");
        }

        if (rule.Interface is { } name)
        {
            yield return $"{interfaceFlag} {name}";
        }

        if (rule.Subnet is { } subnet)
        {
            yield return $"-d {subnet}";
        }

        if (rule.Ports is { } ports)
        {
            yield return $"-p tcp --dport {ports.ToString(':')}";
        }
        else if (rule.To is not null)
        {
            yield return "-p tcp";
        }

        yield return rule.To is { } to ? string.Create(CultureInfo.InvariantCulture, $"-j REDIRECT --to-ports {to}") : "-j RETURN";
    }
}
