using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mesh.Traffic;

/// <summary>The host of a request in its one form: lower case, without the dot at its end, an IPv6 address as RFC 5952 writes it. Immutable.</summary>
/// <param name="Given">As it came.</param>
/// <param name="Value">With its port, where it has one; what is not valid stays as it came.</param>
/// <param name="Name">Without a port: what rules compare.</param>
/// <param name="IsValid">False for user info, zones, percent escapes, empty labels, numbers that are no address, ports beyond 1–65535. International names come as <c>xn--</c>.</param>
internal sealed record CanonicalHost(string Given, string Value, string Name, bool IsValid)
{
    private const int MaxNameLength = 253;
    private const int MaxLabelLength = 63;

    /// <summary>Of a request without one (HTTP/1.0).</summary>
    public static CanonicalHost None { get; } = new(string.Empty, string.Empty, string.Empty, true);

    public static CanonicalHost Of(string given)
    {
        if (given.Length == 0)
        {
            return None;
        }

        var end = given.StartsWith('[') ? given.IndexOf(']', StringComparison.Ordinal) + 1 : given.IndexOf(':', StringComparison.Ordinal);
        end = end <= 0 ? given.Length : end;
        var (host, port) = (given[..end], given[end..]);
        var name = given.StartsWith('[') ? Address(host) : Dns(host);
        if (name is null || !IsPort(port))
        {
            return new(given, given, host.ToLowerInvariant(), false);
        }

        var value = port.Length == 0 ? name : name + port;
        return new(given, value == given ? given : value, name == given ? given : name, true);
    }

    private static string? Address(string host) =>
        !host.Contains('%', StringComparison.Ordinal) && host is ['[', .., ']'] && IPAddress.TryParse(host.AsSpan(1, host.Length - 2), out var address)
        && address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{address}]" : null;

    private static string? Dns(string host)
    {
        var name = host.EndsWith('.') ? host[..^1] : host;
        if (name.Length is 0 or > MaxNameLength)
        {
            return null;
        }

        var label = 0;
        var digits = true;
        foreach (var c in name)
        {
            if (c == '.')
            {
                if (label == 0)
                {
                    return null;
                }

                (label, digits) = (0, true);
                continue;
            }

            if (!(char.IsAsciiLetterOrDigit(c) || c is '-' or '_') || ++label > MaxLabelLength)
            {
                return null;
            }

            digits &= char.IsAsciiDigit(c);
        }

        // What ends in a number is an address, and those have one spelling only (127.1 is another of 127.0.0.1).
        return label == 0 || (digits && !(IPAddress.TryParse(name, out var address) && address.ToString() == name)) ? null : name.ToLowerInvariant();
    }

    private static bool IsPort(string port) => port.Length == 0
        || (port is [':', not '0', ..] && port.Length <= 6 && int.TryParse(port.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= 65535);
}
