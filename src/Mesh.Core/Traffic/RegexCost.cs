namespace Mesh.Traffic;

/// <summary>How large an expression becomes when its counted repetitions are written out: a match costs that much per character at worst, also in linear time.</summary>
/// <remarks>RE2 refuses by the same measure. It need not be exact: it is never less than what the engine builds.</remarks>
internal static class RegexCost
{
    /// <summary>Larger ones are refused.</summary>
    public const int Most = 10_000;

    /// <summary>Positions in the written-out expression, at most <see cref="Most"/> + 1.</summary>
    public static int Of(string expression)
    {
        var (i, groups) = (0, new Stack<(long Sum, long Last)>());
        var (sum, last) = (0L, 0L);
        while (i < expression.Length)
        {
            switch (expression[i])
            {
                case '(':
                    groups.Push((sum, last));
                    (sum, last) = (0, 0);
                    i++;
                    break;
                case ')':
                    var inside = Math.Max(1, sum + last);
                    (sum, last) = groups.TryPop(out var outer) ? (outer.Sum + outer.Last, inside) : (sum + last, inside);
                    i++;
                    break;
                case '[':
                    (sum, last) = (sum + last, 1);
                    i = ClassEnd(expression, i);
                    break;
                case '\\':
                    (sum, last) = (sum + last, 1);
                    i += 2;
                    break;
                case '{' when Counted(expression, i, out var times, out var end):
                    last = Math.Min(last * Math.Max(1, times), Most + 1);
                    i = end;
                    break;
                default:
                    (sum, last) = (sum + last, 1);
                    i++;
                    break;
            }

            sum = Math.Min(sum, Most + 1);
        }

        var total = sum + last;
        while (groups.TryPop(out var open))
        {
            total += open.Sum + open.Last;
        }

        return (int)Math.Min(total, Most + 1);
    }

    private static int ClassEnd(string expression, int start)
    {
        // "]" as the first member is literal; "\]" anywhere.
        var i = start + 1;
        i += i < expression.Length && expression[i] == '^' ? 1 : 0;
        i += i < expression.Length && expression[i] == ']' ? 1 : 0;
        while (i < expression.Length && expression[i] != ']')
        {
            i += expression[i] == '\\' ? 2 : 1;
        }

        return i + 1;
    }

    /// <summary><c>{n}</c>, <c>{n,}</c>, <c>{n,m}</c>; anything else is plain text.</summary>
    private static bool Counted(string expression, int start, out long times, out int end)
    {
        (times, end) = (0, 0);
        var close = expression.IndexOf('}', start);
        if (close < 0)
        {
            return false;
        }

        foreach (var range in expression.AsSpan(start + 1, close - start - 1).Split(','))
        {
            var number = expression.AsSpan(start + 1, close - start - 1)[range];
            if (number.ContainsAnyExceptInRange('0', '9'))
            {
                return false;
            }

            times = Math.Max(times, number.Length == 0 ? 0 : number.Length > 6 ? Most + 1 : long.Parse(number, System.Globalization.CultureInfo.InvariantCulture));
        }

        end = close + 1;
        return true;
    }
}
