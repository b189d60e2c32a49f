using System.Collections.Frozen;

namespace Mesh.Tap;

/// <summary>Which of a message's headers leave this process, and with what value.</summary>
internal static class TapHeaders
{
    /// <summary>In place of a value that nobody asked for.</summary>
    public const string Hidden = "…";

    private const int MostHeaders = 48;
    private const int LongestName = 64;

    /// <summary>Of one message, characters in all.</summary>
    private const int MostText = 4096;

    private static readonly FrozenSet<string> _secret =
        FrozenSet.ToFrozenSet(["authorization", "cookie", "set-cookie", "proxy-authorization", "x-mesh-token"], StringComparer.OrdinalIgnoreCase);

    private static readonly string[] _secretEnds = ["-token", "-key", "-secret"];

    /// <summary>Neither its value nor its name leaves the process, whoever asks.</summary>
    public static bool IsSecret(string name) =>
        _secret.Contains(name) || Array.Exists(_secretEnds, end => name.EndsWith(end, StringComparison.OrdinalIgnoreCase));

    /// <summary>Takes one header, if there is still room for it.</summary>
    /// <param name="wanted">Lower-case names whose values were asked for.</param>
    public static void Take(Dictionary<string, string> into, ref int text, FrozenSet<string> wanted, string name, string value)
    {
        if (into.Count >= MostHeaders || text >= MostText || IsSecret(name))
        {
            return;
        }

#pragma warning disable CA1308 // header names are lower-case on the wire of HTTP/2
        var lower = name.ToLowerInvariant();
#pragma warning restore CA1308
        var shown = wanted.Contains(lower) ? TapText.Of(value) : Hidden;
        if (into.TryAdd(TapText.Of(lower, LongestName), shown))
        {
            text += Math.Min(lower.Length, LongestName) + shown.Length;
        }
    }
}
