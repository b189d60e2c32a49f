using System.Text;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes regular expressions that RE2 and .NET read alike. All are matched against the whole text.</summary>
internal static class Re2
{
    public const string Segment = "[^/]+";

    /// <summary>A text that means itself.</summary>
    public static string Literal(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            if (c is '\\' or '.' or '+' or '*' or '?' or '(' or ')' or '|' or '[' or ']' or '{' or '}' or '^' or '$')
            {
                result.Append('\\');
            }

            result.Append(c);
        }

        return result.ToString();
    }

    /// <summary>A text in any case, for readers that have no switch for it (JavaScript).</summary>
    public static string AnyCase(string text)
    {
        var result = new StringBuilder(text.Length * 4);
        foreach (var c in text)
        {
            result.Append(char.IsAsciiLetter(c) ? $"[{char.ToLowerInvariant(c)}{char.ToUpperInvariant(c)}]" : Literal(c.ToString()));
        }

        return result.ToString();
    }

    /// <summary>One whole: some readers anchor only the first and the last of several alternatives (grpc-js).</summary>
    public static string Group(string expression) => $"(?:{expression})";

    /// <summary>A path whose <c>*</c> are whole segments.</summary>
    /// <param name="anyCase">Its texts in any case.</param>
    public static string Segments(string path, bool anyCase = false) => string.Join('/', path.Split('/').Select(s => s == "*" ? Segment : anyCase ? AnyCase(s) : Literal(s)));
}
