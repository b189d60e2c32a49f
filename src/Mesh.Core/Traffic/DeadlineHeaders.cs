using System.Globalization;

namespace Mesh.Traffic;

/// <summary>The headers that say how long the caller waits: names, parsing, writing (contracts, Deadlines). Pure.</summary>
internal static class DeadlineHeaders
{
    /// <summary>gRPC over HTTP/2, "Timeout": 1 to 8 digits and a unit.</summary>
    public const string Grpc = "grpc-timeout";

    /// <summary>Envoy's: whole milliseconds.</summary>
    public const string Envoy = "x-envoy-expected-rq-timeout-ms";

    /// <summary>Ours: seconds as a structured field (RFC 8941 §3.3), an integer or a decimal such as <c>1.5</c>.</summary>
    public const string Http = "request-timeout";

    /// <summary>A value beyond it bounds nothing and counts as none.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    /// <summary>Zero is valid: it is over already.</summary>
    public static bool TryParseGrpc(ReadOnlySpan<char> value, out TimeSpan timeout)
    {
        timeout = default;
        if (value.Length is < 2 or > 9 || !TryParseDigits(value[..^1], out var amount))
        {
            return false;
        }

        var ticks = value[^1] switch
        {
            'H' => TimeSpan.TicksPerHour,
            'M' => TimeSpan.TicksPerMinute,
            'S' => TimeSpan.TicksPerSecond,
            'm' => TimeSpan.TicksPerMillisecond,
            'u' => TimeSpan.TicksPerMicrosecond,
            'n' => 0,
            _ => -1,
        };
        // 8 digits of hours are 3.6e18 ticks: it fits. A tick is 100 ns; what is shorter is rounded up, because it is not over yet.
        timeout = TimeSpan.FromTicks(ticks == 0 ? (amount + TimeSpan.NanosecondsPerTick - 1) / TimeSpan.NanosecondsPerTick : amount * ticks);
        return ticks >= 0 && timeout <= Longest;
    }

    /// <summary>Zero is none: Envoy means "no timeout" by it.</summary>
    public static bool TryParseEnvoy(ReadOnlySpan<char> value, out TimeSpan timeout)
    {
        timeout = default;
        if (value.Length > 12 || !TryParseDigits(value, out var milliseconds))
        {
            return false;
        }

        timeout = TimeSpan.FromTicks(milliseconds * TimeSpan.TicksPerMillisecond);
        return milliseconds > 0 && timeout <= Longest;
    }

    /// <summary>Zero is valid: it is over already. Parameters are not.</summary>
    public static bool TryParseHttp(ReadOnlySpan<char> value, out TimeSpan timeout)
    {
        timeout = default;
        value = value.Trim(' ');
        var dot = value.IndexOf('.');
        var whole = dot < 0 ? value : value[..dot];
        var fraction = dot < 0 ? "0" : value[(dot + 1)..];
        if (whole.Length > (dot < 0 ? 15 : 12) || fraction.Length > 3 || !TryParseDigits(whole, out var seconds) || !TryParseDigits(fraction, out var part))
        {
            return false;
        }

        if (seconds > (long)Longest.TotalSeconds)
        {
            return false;
        }

        var milliseconds = fraction.Length switch
        {
            1 => part * 100,
            2 => part * 10,
            _ => part,
        };
        timeout = TimeSpan.FromTicks((seconds * TimeSpan.TicksPerSecond) + (milliseconds * TimeSpan.TicksPerMillisecond));
        return timeout <= Longest;
    }

    /// <param name="left">More than zero, at most <see cref="Longest"/>. Rounded down, so that no hop gives more than it has.</param>
    public static string FormatGrpc(TimeSpan left) => left < TimeSpan.FromMilliseconds(1)
        ? string.Create(CultureInfo.InvariantCulture, $"{Math.Max(1, left.Ticks / TimeSpan.TicksPerMicrosecond)}u")
        : string.Create(CultureInfo.InvariantCulture, $"{Milliseconds(left)}m");

    /// <inheritdoc cref="FormatGrpc"/>
    public static string FormatEnvoy(TimeSpan left) => Milliseconds(left).ToString(CultureInfo.InvariantCulture);

    /// <inheritdoc cref="FormatGrpc"/>
    public static string FormatHttp(TimeSpan left)
    {
        var milliseconds = Milliseconds(left);
        return string.Create(CultureInfo.InvariantCulture, $"{milliseconds / 1000}.{milliseconds % 1000:000}");
    }

    // 0 would mean something else.
    private static long Milliseconds(TimeSpan left) => Math.Max(1, left.Ticks / TimeSpan.TicksPerMillisecond);

    private static bool TryParseDigits(ReadOnlySpan<char> digits, out long value) => long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out value);
}
