namespace Mesh.ControlPlane.Model;

/// <summary>Which labels are wanted, as kubectl takes it: <c>app=cart,tier!=test,zone,!old,env in (a,b)</c>, each of which must hold. Immutable.</summary>
/// <remarks>Kubernetes labels: a key that is not there differs from every value.</remarks>
internal sealed class LabelSelector
{
    /// <summary>What is to be written.</summary>
    public const string Rule = "Give labels such as app=cart,tier!=test, a key that must be there or, as !key, must not, or key in (a,b), key notin (a,b)";

    private readonly string _text;
    private readonly List<Term> _terms = [];

    private LabelSelector(string text) => _text = text;

    /// <returns>Null with a problem when it can't be read.</returns>
    public static LabelSelector? Parse(string text, out string problem)
    {
        problem = string.Empty;
        var selector = new LabelSelector(text);
        foreach (var part in Parts(text))
        {
            if (TermOf(part) is not { } term)
            {
                problem = $"{Rule}.";
                return null;
            }

            selector._terms.Add(term);
        }

        return selector;
    }

    public bool Matches(IReadOnlyDictionary<string, string> labels) => _terms.TrueForAll(t => t.Differs != (labels.TryGetValue(t.Key, out var value) && (t.Values is null || t.Values.Contains(value))));

    /// <summary>As it was written.</summary>
    public override string ToString() => _text;

    /// <summary>Between commas that stand outside of brackets.</summary>
    private static IEnumerable<string> Parts(string text)
    {
        var (from, isIn) = (0, false);
        for (var i = 0; i < text.Length; i++)
        {
            isIn = text[i] == '(' || (isIn && text[i] != ')');
            if (text[i] == ',' && !isIn)
            {
                yield return text[from..i].Trim();
                from = i + 1;
            }
        }

        yield return text[from..].Trim();
    }

    private static Term? TermOf(string part)
    {
        if (part.EndsWith(')') && part.IndexOf('(', StringComparison.Ordinal) is > 0 and var at)
        {
            return part[..at].Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var set, var how] && (how is "in" or "notin")
                ? Of(set, how == "notin", part[(at + 1)..^1].Split(',', StringSplitOptions.TrimEntries)) : null;
        }

        var isNot = part.Contains("!=", StringComparison.Ordinal);
        return part.Split(isNot ? "!=" : part.Contains("==", StringComparison.Ordinal) ? "==" : "=", 2, StringSplitOptions.TrimEntries) switch
        {
            [var key, var value] => Of(key, isNot, [value]),
            [['!', .. var key]] => Of(key, true, null),
            [var key] => Of(key, false, null),
            _ => null,
        };
    }

    private static Term? Of(string key, bool differs, string[]? values) =>
        key.Length > 0 && key.All(c => IsLabel(c) || c == '/') && values?.All(v => v.All(IsLabel)) != false ? new Term(key, differs, values) : null;

    private static bool IsLabel(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.';

    /// <param name="Values">Null: whichever.</param>
    private sealed record Term(string Key, bool Differs, string[]? Values);
}
