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

    /// <summary>A path whose <c>*</c> are whole segments.</summary>
    public static string Segments(string path) => string.Join('/', path.Split('/').Select(s => s == "*" ? Segment : Literal(s)));
}
