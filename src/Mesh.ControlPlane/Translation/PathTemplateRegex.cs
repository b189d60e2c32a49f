using System.Text;
using System.Text.RegularExpressions;

namespace Mesh.ControlPlane.Translation;

/// <summary>A path template (xDS uri_template) as a regular expression, for peers that know no templates.</summary>
internal static partial class PathTemplateRegex
{
    private const string Segment = "[^/]+";
    private const string Rest = ".*";

    /// <param name="template">Valid: its reader has looked at it.</param>
    public static string Of(string template)
    {
        var expression = new StringBuilder();
        foreach (Match part in Part().Matches(template))
        {
            expression.Append(part.Value switch
            {
                "*" => Segment,
                "**" => Rest,
                ['{', ..] => part.Value.IndexOf('=', StringComparison.Ordinal) is >= 0 and var equals ? Of(part.Value[(equals + 1)..^1]) : Segment,
                _ => Regex.Escape(part.Value),
            });
        }

        return expression.ToString();
    }

    [GeneratedRegex(@"\{[^}]*\}|\*\*|\*|[^*{]+")]
    private static partial Regex Part();
}
