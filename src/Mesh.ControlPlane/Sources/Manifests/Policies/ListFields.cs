using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Lists of a bounded size, as authorization has them: an empty one could be read as nobody and as everybody, so it is refused.</summary>
internal static partial class ListFields
{
    public const int Most = 64;

    /// <summary>The entries of a list; empty when the field is absent.</summary>
    public static IReadOnlyList<YamlMap> Maps(YamlMap map, string field, int most = Most)
    {
        var maps = map.Maps(field);
        Count(map, field, most);
        return maps;
    }

    /// <param name="problem">Why an entry can't be used, with the fix; null when it can.</param>
    public static ImmutableArray<string> Texts(YamlMap map, string field, Func<string, string?> problem)
    {
        var texts = ImmutableArray.CreateBuilder<string>();
        foreach (var (text, node, path) in map.Texts(field))
        {
            if (problem(text) is { } why)
            {
                map.Problems.Refuse(node, $"{path} is '{(text.Length > 60 ? text[..60] + "…" : text)}'. {why}");
            }
            else if (!texts.Contains(text))
            {
                texts.Add(text);
            }
        }

        Count(map, field, Most);
        return texts.ToImmutable();
    }

    public static ImmutableArray<int> Ports(YamlMap map, string field)
    {
        var ports = ImmutableArray.CreateBuilder<int>();
        foreach (var item in map.Find(field)?.Items ?? [])
        {
            if (item.Plain is { } plain
                && int.TryParse(plain, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is >= 1 and <= 65535)
            {
                ports.Add(port);
            }
            else
            {
                map.Problems.Refuse(item, $"{map.Field(field)} has {YamlMap.Show(item)}. Write numbers from 1 to 65535, of ports that the workload listens on.");
            }
        }

        if (map.Find(field) is { IsList: false } node)
        {
            map.Problems.Refuse(node, $"{map.Field(field)} is {YamlMap.Show(node)}. Write a list ('- …').");
        }

        Count(map, field, Most);
        return [.. ports.Distinct().Order()];
    }

    /// <summary>A range in its one spelling; an address alone is a range of one.</summary>
    public static IPNetwork? Cidr(string text, out string? problem)
    {
        problem = null;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var address = slash < 0 ? text : text[..slash];
        if (Names.AddressSpellingProblem(address) is { } spelling)
        {
            problem = spelling;
            return null;
        }

        var ip = IPAddress.Parse(address);
        var bits = ip.GetAddressBytes().Length * 8;
        if (ip.IsIPv4MappedToIPv6)
        {
            problem = $"It is an IPv4 address in IPv6 form: write {ip.MapToIPv4()} (peers are compared as IPv4).";
            return null;
        }

        var length = bits;
        if (slash >= 0 && (!int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out length) || length > bits))
        {
            problem = $"Give a prefix length from 0 to {bits} after '/'.";
            return null;
        }

        if (!Mask(ip, length).Equals(ip))
        {
            problem = $"It has bits set beyond its prefix length. Write {Mask(ip, length)}/{length}, or {ip} for the one address.";
            return null;
        }

        return new IPNetwork(ip, length);
    }

    public static void Regex(YamlMap map, string field, string expression)
    {
        const int MaxLength = 512;
        if (expression.Length > MaxLength)
        {
            map.Bad(field, expression, $"It has {expression.Length} characters. Use at most {MaxLength}.");
            return;
        }

        RouteFields.CheckRegex(map, field, expression);
    }

    public static bool IsToken(string text) => Token().IsMatch(text);

    /// <summary>Refuses header names that no rule can ask for.</summary>
    public static string? HeaderProblem(string name) =>
        !IsToken(name) && !name.StartsWith(':') ? "Use the characters of an HTTP token: letters, digits and !#$%&'*+-.^_`|~."
        : name == ":method" ? "Use methods."
        : name == ":path" ? "Use paths."
        : name is ":authority" or "host" ? "Use hosts."
        : name.StartsWith(':') ? "Pseudo-headers other than :method, :path and :authority can't be asked for (gRFC A41)."
        : name.EndsWith("-bin", StringComparison.Ordinal) ? "Binary headers of gRPC (-bin) match nothing (gRFC A28)."
        : name.StartsWith("grpc-", StringComparison.Ordinal) ? "Headers of gRPC itself can't be asked for (gRFC A41)."
        : name is "connection" or "keep-alive" or "proxy-connection" or "proxy-authenticate" or "proxy-authorization" or "te" or "trailer" or "trailers" or "transfer-encoding" or "upgrade"
            ? "It belongs to one connection and not to the request: another hop may add or drop it (RFC 9110 §7.6.1)."
        : null;

    private static void Count(YamlMap map, string field, int most)
    {
        if (map.Find(field) is { IsList: true } list && (list.Count == 0 || list.Count > most))
        {
            map.Problems.Refuse(list, list.Count == 0
                ? $"{map.Field(field)} is empty. Add an entry, or remove the field."
                : $"{map.Field(field)} has {list.Count} entries. Use at most {most}.");
        }
    }

    private static IPAddress Mask(IPAddress address, int length)
    {
        var bytes = address.GetAddressBytes();
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] &= (byte)(0xff << Math.Clamp(8 - (length - (i * 8)), 0, 8));
        }

        return new IPAddress(bytes);
    }

    [GeneratedRegex(@"\A[A-Za-z0-9!#$%&'*+\-.^_`|~]+\z")]
    private static partial Regex Token();
}
