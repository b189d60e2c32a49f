using Mesh.Traffic;

namespace Mesh.Policy;

/// <summary>Values and wishes in the words of an explanation: short, on one line, and without secrets.</summary>
internal static class RbacWords
{
    private const int Longest = 80;

    // Parts of names whose values nobody may read in a log.
    private static readonly string[] _secret = ["auth", "cookie", "token", "secret", "key", "password", "session", "credential", "signature"];

    /// <summary>As <c>'value'</c>, shortened; what is no printable ASCII becomes <c>?</c>.</summary>
    public static string Quote(string value)
    {
        var shown = value.Length <= Longest ? value : value[..Longest];
        return $"'{string.Create(shown.Length, shown, static (to, from) =>
        {
            for (var i = 0; i < to.Length; i++)
            {
                to[i] = from[i] is >= ' ' and <= '~' ? from[i] : '?';
            }
        })}{(value.Length <= Longest ? string.Empty : "...")}'";
    }

    public static string Wish(StringMatcher text) => text.Kind switch
    {
        StringMatchKind.Exact => Quote(text.Text),
        StringMatchKind.Prefix => $"{Quote(text.Text)} at the start",
        StringMatchKind.PathPrefix => $"{Quote(text.Text)} or below",
        StringMatchKind.Suffix => $"{Quote(text.Text)} at the end",
        StringMatchKind.Contains => $"{Quote(text.Text)} inside",
        _ => $"a match of {Quote(text.Text)}",
    };

    public static bool IsSecret(string headerName) => Array.Exists(_secret, s => headerName.Contains(s, StringComparison.Ordinal));
}
