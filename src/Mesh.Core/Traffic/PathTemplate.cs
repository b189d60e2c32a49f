using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Mesh.Traffic;

/// <summary>The shape of a path with named parts (xDS uri_template), such as <c>/users/{id}/orders/{rest=**}</c>. Immutable and thread-safe.</summary>
/// <remarks>
/// <c>*</c> is one segment or a part of one, never empty; <c>**</c> is what is left, slashes too, and may be empty; nothing but plain text follows it.
/// <c>{name}</c> and <c>{name=*}</c> keep one segment, <c>{name=**}</c> what is left, <c>{name=videos/*}</c> several. Case counts.
/// </remarks>
internal sealed class PathTemplate : IEquatable<PathTemplate>
{
    /// <summary>Most variables in one template (Envoy).</summary>
    public const int MaxVariables = 5;

    /// <summary>Longest name of a variable (Envoy).</summary>
    public const int MaxNameLength = 16;

    private const int MaxLength = 4096;

    // RFC 3986 §3.3 pchar; the percent sign stands for encoded characters.
    private const string Characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()+,;:@=";
    private const string OneSegment = "[a-zA-Z0-9._~%!$&'()+,;:@=-]+";
    private const string AnySegments = "[a-zA-Z0-9._~%!$&'()+,;:@=/-]*";
    private static readonly SearchValues<char> _characters = SearchValues.Create(Characters);

    private readonly Regex _expression;

    private PathTemplate(string text, string expression, List<string> variables)
    {
        (Text, Variables) = (text, variables);
        _expression = new Regex($@"\A{expression}\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
    }

    public string Text { get; }

    /// <summary>Names of the parts that are kept, as they stand.</summary>
    public IReadOnlyList<string> Variables { get; }

    /// <summary>Reads a template.</summary>
    /// <exception cref="FormatException">It is malformed; the message says why.</exception>
    public static PathTemplate Parse(string text)
    {
        if (text.Length is 0 or > MaxLength || text[0] != '/')
        {
            throw new FormatException($"It has {text.Length} characters and must start with '/', in at most {MaxLength}.");
        }

        var variables = new List<string>();
        var expression = new StringBuilder();
        var closed = false;
        for (var i = 0; i < text.Length;)
        {
            switch (text[i])
            {
                case '/':
                    if (i + 1 < text.Length && text[i + 1] == '/')
                    {
                        throw new FormatException($"It has an empty segment at {i}.");
                    }

                    expression.Append('/');
                    i++;
                    break;
                case '*':
                    i += Operator(text, i, text.Length, expression, ref closed);
                    break;
                case '{':
                    var end = text.IndexOf('}', i);
                    if (end < 0)
                    {
                        throw new FormatException($"The '{{' at {i} is not closed.");
                    }

                    Variable(text, i + 1, end, expression, variables, ref closed);
                    i = end + 1;
                    break;
                default:
                    i += Literal(text, i, text.Length, expression);
                    break;
            }
        }

        try
        {
            return new PathTemplate(text, expression.ToString(), variables);
        }
        catch (NotSupportedException e)
        {
            throw new FormatException("It is too large to be matched in linear time. Shorten it.", e);
        }
    }

    public bool Matches(string path) => _expression.IsMatch(path);

    /// <summary>The value of each of <see cref="Variables"/>, as it stands in the path; null when the path does not match.</summary>
    public string[]? Capture(string path)
    {
        var match = _expression.Match(path);
        if (!match.Success)
        {
            return null;
        }

        var values = new string[Variables.Count];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = match.Groups[i + 1].Value;
        }

        return values;
    }

    public bool Equals(PathTemplate? other) => other is not null && other.Text == Text;

    public override bool Equals(object? obj) => Equals(obj as PathTemplate);

    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Text;

    private static void Variable(string text, int start, int end, StringBuilder expression, List<string> variables, ref bool closed)
    {
        var inside = text[start..end];
        var equals = inside.IndexOf('=', StringComparison.Ordinal);
        var name = equals < 0 ? inside : inside[..equals];
        if (name.Length is 0 or > MaxNameLength || !char.IsAsciiLetter(name[0]) || name.Any(c => !char.IsAsciiLetterOrDigit(c) && c != '_'))
        {
            throw new FormatException($"'{name}' is no name of a variable: use a letter, then letters, digits and '_', at most {MaxNameLength}.");
        }

        if (variables.Contains(name, StringComparer.Ordinal))
        {
            throw new FormatException($"The variable '{name}' stands twice.");
        }

        if (variables.Count == MaxVariables)
        {
            throw new FormatException($"It has more than {MaxVariables} variables.");
        }

        variables.Add(name);
        expression.Append('(');
        if (equals < 0)
        {
            CheckOpen(start, closed);
            expression.Append(OneSegment);
        }
        else
        {
            Pattern(text, start + equals + 1, end, name, expression, ref closed);
        }

        expression.Append(')');
    }

    /// <summary>What stands behind the equals sign of a variable.</summary>
    private static void Pattern(string text, int start, int end, string name, StringBuilder expression, ref bool closed)
    {
        if (start == end || text[start] == '/' || text[end - 1] == '/')
        {
            throw new FormatException($"The pattern of '{name}' is empty, or starts or ends with '/'.");
        }

        for (var i = start; i < end;)
        {
            switch (text[i])
            {
                case '/' when text[i + 1] == '/':
                    throw new FormatException($"It has an empty segment at {i}.");
                case '/':
                    expression.Append('/');
                    i++;
                    break;
                case '{':
                    throw new FormatException($"The variable '{name}' has another inside.");
                case '*':
                    i += Operator(text, i, end, expression, ref closed);
                    break;
                default:
                    i += Literal(text, i, end, expression);
                    break;
            }
        }
    }

    private static int Operator(string text, int at, int end, StringBuilder expression, ref bool closed)
    {
        CheckOpen(at, closed);
        var length = 1;
        while (at + length < end && text[at + length] == '*')
        {
            length++;
        }

        if (length > 2)
        {
            throw new FormatException($"It has '{text.Substring(at, length)}' at {at}. Use '*' or '**'.");
        }

        closed = length == 2;
        expression.Append(closed ? AnySegments : OneSegment);
        return length;
    }

    private static void CheckOpen(int at, bool closed)
    {
        if (closed)
        {
            throw new FormatException($"After '**' only plain text may follow, not a '*' or variable (at {at}).");
        }
    }

    private static int Literal(string text, int at, int end, StringBuilder expression)
    {
        var stop = text.AsSpan(at, end - at).IndexOfAny('/', '*', '{');
        var part = text.AsSpan(at, stop < 0 ? end - at : stop);
        if (part.IndexOfAnyExcept(_characters) is >= 0 and var bad)
        {
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"It has '{part[bad]}' at {at + bad}, which no path has: encode it."));
        }

        expression.Append(Regex.Escape(part.ToString()));
        return part.Length;
    }
}
