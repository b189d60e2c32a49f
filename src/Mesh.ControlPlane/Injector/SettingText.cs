using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Mesh.ControlPlane.Injector;

/// <summary>Reads the texts of settings, each into what the sidecar surely takes.</summary>
internal static partial class SettingText
{
    public const string PortsRule = "Use ports and ranges such as 25,8000-8010, or none.";
    public const string SubnetsRule = "Use networks and addresses such as 10.0.0.0/8,fd00::/8,192.0.2.1, or none. Everything (a prefix of 0) can't be left out: use inject: disabled.";
    public const string TimeRule = "Use a time up to 24h such as 90s, 2m or 1h.";
    public const string LogLevelRule = "Use levels such as warning or warning,Mesh.Xds=debug: trace, debug, information, warning, error, critical, off.";
    public const string RatioRule = "Use a share from 0 to 1 such as 0.05, or a percentage such as 5%.";
    public const string ImageRule = "Use an image such as registry.example/mesh-proxy:1.2.3.";

    /// <summary>As many as <c>mesh-proxy init</c> takes.</summary>
    private const int MostEntries = 256;

    private static readonly string[] Levels = ["trace", "debug", "info", "information", "warn", "warning", "error", "critical", "off", "none"];

    /// <returns>Without spaces, empty for none; null when it is wrong.</returns>
    public static string? Ports(string text) => List(text, static part => PortRange(part) is { } range
        ? range.First == range.Last ? range.First.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{range.First}-{range.Last}")
        : null);

    /// <inheritdoc cref="Ports"/>
    public static string? Subnets(string text) => List(text, static part =>
    {
        var slash = part.IndexOf('/', StringComparison.Ordinal);
        if (!IPAddress.TryParse(slash < 0 ? part : part[..slash], out var address) || part.Contains('%', StringComparison.Ordinal) || address.IsIPv4MappedToIPv6
            || (address.AddressFamily == AddressFamily.InterNetwork && part.AsSpan(0, slash < 0 ? part.Length : slash).Count('.') != 3))
        {
            return null;
        }

        // 'mesh-proxy init' refuses bits beyond the prefix; people write them.
        return slash < 0 ? address.ToString()
            : int.TryParse(part.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var prefix) && prefix > 0 && prefix <= (address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128)
                ? $"{Masked(address, prefix)}/{prefix.ToString(CultureInfo.InvariantCulture)}"
                : null;
    });

    /// <summary>The ports of a list that was read.</summary>
    public static IEnumerable<(int First, int Last)> Ranges(string ports) => ports.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(p => PortRange(p)!.Value);

    public static bool Holds(string ports, int port) => Ranges(ports).Any(r => port >= r.First && port <= r.Last);

    public static int? Port(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is >= 1 and <= 65535 ? port : null;

    /// <summary>With <c>s</c>, <c>m</c>, <c>h</c>, or seconds alone.</summary>
    public static TimeSpan? Time(string text)
    {
        var digits = text.AsSpan().TrimEnd("hms");
        var unit = text.AsSpan(digits.Length) switch
        {
            "" or "s" => TimeSpan.FromSeconds(1),
            "ms" => TimeSpan.FromMilliseconds(1),
            "m" => TimeSpan.FromMinutes(1),
            "h" => TimeSpan.FromHours(1),
            _ => TimeSpan.Zero,
        };
        return unit > TimeSpan.Zero && int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count * unit.TotalDays <= 1 ? unit * count : null;
    }

    /// <returns>A share, 0–1; null when it is none.</returns>
    public static string? Ratio(string text)
    {
        var percent = text.EndsWith('%');
        return decimal.TryParse(percent ? text.AsSpan(0, text.Length - 1) : text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            && (percent ? number / 100 : number) is >= 0 and <= 1 and var ratio ? ratio.ToString("0.############", CultureInfo.InvariantCulture) : null;
    }

    public static bool? Switch(string text) => text.ToUpperInvariant() switch
    {
        "ENABLED" or "TRUE" => true,
        "DISABLED" or "FALSE" => false,
        _ => null,
    };

    public static bool IsImage(string text) => text.Length <= 512 && Image().IsMatch(text);

    /// <summary>As <c>MESH_LOG_LEVEL</c>.</summary>
    public static bool IsLogLevel(string text)
    {
        var parts = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var categories = parts.Select(p => p.IndexOf('=', StringComparison.Ordinal) is var at && at < 0 ? string.Empty : p[..at].Trim()).ToList();
        return parts.Length is > 0 and <= 64 && categories.Distinct(StringComparer.OrdinalIgnoreCase).Count() == parts.Length
            && parts.Zip(categories).All(p => Levels.Contains(p.First[(p.First.IndexOf('=', StringComparison.Ordinal) + 1)..].Trim(), StringComparer.OrdinalIgnoreCase)
                && (p.Second.Length == 0 ? !p.First.Contains('=', StringComparison.Ordinal) : Category().IsMatch(p.Second)));
    }

    private static string? List(string text, Func<string, string?> read)
    {
        if (text.Trim().Equals("none", StringComparison.OrdinalIgnoreCase))
        {
            return string.Empty;
        }

        var parts = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(read).Distinct().ToList();
        return parts.Count > MostEntries || parts.Contains(null) ? null : string.Join(',', parts);
    }

    private static (int First, int Last)? PortRange(string text)
    {
        var dash = text.IndexOf('-', StringComparison.Ordinal);
        return Port((dash < 0 ? text : text[..dash]).Trim()) is { } first && Port((dash < 0 ? text : text[(dash + 1)..]).Trim()) is { } last && first <= last ? (first, last) : null;
    }

    private static IPAddress Masked(IPAddress address, int prefix)
    {
        var bytes = address.GetAddressBytes();
        for (var i = 0; i < bytes.Length; i++)
        {
            var bits = Math.Clamp(prefix - (i * 8), 0, 8);
            bytes[i] &= (byte)(0xFF << (8 - bits));
        }

        return new IPAddress(bytes);
    }

    [GeneratedRegex(@"\A[a-zA-Z0-9]([a-zA-Z0-9._/:@-]*[a-zA-Z0-9])?\z")]
    private static partial Regex Image();

    [GeneratedRegex(@"\A[A-Za-z0-9._+`]{1,200}\z")]
    private static partial Regex Category();
}
