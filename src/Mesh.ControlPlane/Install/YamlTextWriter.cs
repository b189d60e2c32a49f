using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Install;

/// <summary>Writes JSON as block YAML: keys in their order, two spaces, lists not indented, texts of several lines as literals. The same tree gives the same bytes.</summary>
/// <remarks>Any reader, of YAML 1.1 too, gets the same values: what could be read as anything but text is quoted.</remarks>
internal sealed class YamlTextWriter(TextWriter output)
{
    // Words that YAML 1.1 readers take for booleans or null.
    private static readonly HashSet<string> Words = new(StringComparer.OrdinalIgnoreCase) { "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~" };

    public void Write(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject { Count: > 0 } map:
                Map(map, 0, false);
                break;
            case JsonArray { Count: > 0 } list:
                List(list, 0);
                break;
            default:
                output.WriteLine(Inline(node));
                break;
        }
    }

    /// <param name="begun">The first key stands behind a dash that is written already.</param>
    private void Map(JsonObject map, int indent, bool begun)
    {
        foreach (var (key, value) in map)
        {
            output.Write($"{(begun ? string.Empty : new string(' ', indent))}{Text(key)}:");
            begun = false;
            switch (value)
            {
                case JsonObject { Count: > 0 } inner:
                    output.WriteLine();
                    Map(inner, indent + 2, false);
                    break;
                case JsonArray { Count: > 0 } list:
                    output.WriteLine();
                    List(list, indent);
                    break;
                default:
                    Value(value, indent + 2);
                    break;
            }
        }
    }

    private void List(JsonArray list, int indent)
    {
        foreach (var item in list)
        {
            output.Write($"{new string(' ', indent)}-");
            switch (item)
            {
                case JsonObject { Count: > 0 } map:
                    output.Write(' ');
                    Map(map, indent + 2, true);
                    break;
                case JsonArray { Count: > 0 } inner:
                    output.WriteLine();
                    List(inner, indent + 2);
                    break;
                default:
                    Value(item, indent + 2);
                    break;
            }
        }
    }

    private void Value(JsonNode? value, int indent)
    {
        if (value?.GetValueKind() == JsonValueKind.String && value.GetValue<string>() is var text && IsLiteral(text))
        {
            output.WriteLine(text.EndsWith('\n') ? " |" : " |-");
            foreach (var line in text.TrimEnd('\n').Split('\n'))
            {
                output.WriteLine(line.Length == 0 ? string.Empty : new string(' ', indent) + line);
            }

            return;
        }

        output.WriteLine($" {Inline(value)}");
    }

    /// <summary>Several lines that a literal block keeps as they are.</summary>
    private static bool IsLiteral(string text) =>
        text.TrimEnd('\n').Contains('\n') && !text.EndsWith("\n\n", StringComparison.Ordinal) && text[0] is not (' ' or '\n' or '\t')
        && text.All(c => c == '\n' || (c >= ' ' && c != '\x7f' && !char.IsSurrogate(c) && c is not ('\x85' or '\u2028' or '\u2029' or '\ufeff')));

    private static string Inline(JsonNode? node) => node?.GetValueKind() switch
    {
        null or JsonValueKind.Null => "null",
        JsonValueKind.Object => "{}",
        JsonValueKind.Array => "[]",
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        JsonValueKind.String => Text(node.GetValue<string>()),
        _ => node.ToJsonString(),
    };

    private static string Text(string text)
    {
        if (text.Length > 0 && !Words.Contains(text) && (char.IsAsciiLetter(text[0]) || text[0] is '/' or '.' or '_') && !LooksLikeANumber(text) && text[^1] != ' '
            && text.All(c => c is >= ' ' and < '\x7f') && !text.Contains(": ", StringComparison.Ordinal) && !text.Contains(" #", StringComparison.Ordinal) && text[^1] != ':')
        {
            return text;
        }

        if (text.All(c => c is >= ' ' and < '\x7f'))
        {
            return $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";
        }

        var quoted = new StringBuilder("\"");
        foreach (var c in text)
        {
            quoted.Append(c switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\t' => "\\t",
                '\r' => "\\r",
                < ' ' or '\x7f' or '\x85' or '\u2028' or '\u2029' or '\ufeff' => string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => c,
            });
        }

        return quoted.Append('"').ToString();
    }

    /// <summary>Dotted or special numbers, and YAML 1.1's with letters in front are none: only '.5', '.inf' and '.nan' begin as text does.</summary>
    private static bool LooksLikeANumber(string text) => text[0] == '.' && (text.Length == 1 || !char.IsAsciiLetter(text[1]) || text is ".inf" or ".nan" or ".Inf" or ".NaN" or ".INF" or ".NAN");
}
