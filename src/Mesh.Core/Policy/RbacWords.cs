using Mesh.Traffic;

namespace Mesh.Policy;

/// <summary>Values and wishes in the words of an explanation: short, on one line, and without secrets.</summary>
internal static class RbacWords
{
    private const int Longest = 80;

    // Parts of names whose values nobody may read in a log.
    private static readonly string[] _secret = ["auth", "cookie", "token", "secret", "key", "password", "session", "credential", "signature"];

    /// <summary>As <c>'value'</c>, shortened.</summary>
    public static string Quote(string value) => $"'{Line(value, Longest)}'";

    /// <summary>Printable ASCII on one line, the rest as <c>?</c>: safe in a log and in a header.</summary>
    /// <param name="longest">Characters; what is longer ends in dots.</param>
    public static string Line(string value, int longest = 200)
    {
        if (value.Length <= longest && !value.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            return value;
        }

        return string.Create(Math.Min(value.Length, longest), value, static (to, from) =>
        {
            var dots = to.Length < from.Length ? Math.Min(3, to.Length) : 0;
            for (var i = 0; i < to.Length; i++)
            {
                to[i] = i >= to.Length - dots ? '.' : from[i] is >= ' ' and <= '~' ? from[i] : '?';
            }
        });
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
