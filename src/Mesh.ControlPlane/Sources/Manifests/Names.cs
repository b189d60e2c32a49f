using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Which names and addresses the API server takes.</summary>
internal static partial class Names
{
    public const string LabelRule = "Use 1–63 of a–z, 0–9 and '-', starting and ending with a letter or digit (RFC 1123 label).";
    public const string SubdomainRule = "Use at most 253 of a–z, 0–9, '-' and '.', each part starting and ending with a letter or digit (RFC 1123 subdomain).";
    public const string PortNameRule = "Use at most 15 of a–z, 0–9 and '-', with at least one letter, no '-' at either end and no '--'.";

    public const string LabelPairRule = "Names are [prefix/]name, names and values 1–63 of letters, digits, '-', '_' and '.', with a letter or digit at both ends (Kubernetes labels).";

    public static bool IsLabelName(string text) => text.Split('/') switch
    {
        [var name] => IsLabelPart(name),
        [var prefix, var name] => IsSubdomain(prefix) && IsLabelPart(name),
        _ => false,
    };

    /// <summary>May be empty.</summary>
    public static bool IsLabelValue(string text) => text.Length == 0 || IsLabelPart(text);

    private static bool IsLabelPart(string text) => text.Length is > 0 and <= 63 && LabelPart().IsMatch(text);

    public static bool IsLabel(string text) => text.Length is > 0 and <= 63 && Label().IsMatch(text);

    public static bool IsSubdomain(string text) => text.Length is > 0 and <= 253 && Array.TrueForAll(text.Split('.'), p => Label().IsMatch(p));

    /// <summary>IANA service name: what containers and <c>targetPort</c> use.</summary>
    public static bool IsPortName(string text) => text.Length is > 0 and <= 15 && Label().IsMatch(text)
        && text.Any(char.IsAsciiLetterLower) && !text.Contains("--", StringComparison.Ordinal);

    /// <summary>Why an address cannot be an endpoint's, or null. Loopback is fine here (contracts §3).</summary>
    public static string? AddressProblem(string text, AddressFamily? family)
    {
        if (!IPAddress.TryParse(text, out var ip) || ip.ToString().Contains('%', StringComparison.Ordinal)
            || (ip.AddressFamily == AddressFamily.InterNetwork && ip.ToString() != text))
        {
            return "is no IP address. Write an IP literal such as 10.0.0.7 or fd00::7; for a name use addressType: FQDN.";
        }

        if (family is { } wanted && ip.AddressFamily != wanted)
        {
            return wanted == AddressFamily.InterNetwork
                ? "is not IPv4, as addressType says. Move it to a slice with addressType: IPv6."
                : "is not IPv6, as addressType says. Move it to a slice with addressType: IPv4.";
        }

        return ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any) ? "stands for every address. Give the one address that callers reach."
            : ip.IsIPv6LinkLocal || ip.ToString().StartsWith("169.254.", StringComparison.Ordinal) ? "is link-local, which other hosts cannot reach. Give a routable address."
            : ip.IsIPv6Multicast || (ip.AddressFamily == AddressFamily.InterNetwork && ip.GetAddressBytes()[0] is >= 224 and < 240) ? "is a multicast address. Give a unicast address."
            : null;
    }

    /// <summary>Why a text is no IP address in its plain form, or null.</summary>
    public static string? AddressSpellingProblem(string text) =>
        !IPAddress.TryParse(text, out var ip) || text.Contains('%', StringComparison.Ordinal) || (ip.AddressFamily == AddressFamily.InterNetwork && ip.ToString() != text)
            ? "Use an IP address or a range such as 10.0.0.0/8 or fd00::/8."
            : null;

    /// <summary>The one spelling of an address, so that two spellings are seen to be the same.</summary>
    public static string Canonical(string address) => IPAddress.Parse(address).ToString();

    [GeneratedRegex(@"\A[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\z")]
    private static partial Regex LabelPart();

    [GeneratedRegex(@"\A[a-z0-9]([-a-z0-9]*[a-z0-9])?\z")]
    private static partial Regex Label();
}
