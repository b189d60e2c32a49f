namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Finds what a misspelt word was meant to be.</summary>
internal static class Suggestion
{
    /// <summary><c> Did you mean 'x'?</c> with a leading space, or nothing when no word is close.</summary>
    public static string For(string word, IEnumerable<string> known)
    {
        string? best = null;
        var bestDistance = Math.Max(1, Math.Min(3, word.Length / 3)) + 1;
        foreach (var candidate in known)
        {
            var distance = string.Equals(word, candidate, StringComparison.OrdinalIgnoreCase) ? 0 : Distance(word, candidate);
            if (distance < bestDistance)
            {
                (best, bestDistance) = (candidate, distance);
            }
        }

        return best is null ? string.Empty : $" Did you mean '{best}'?";
    }

    /// <summary>Edits from one word to the other, ignoring case; two swapped neighbours count as one.</summary>
    private static int Distance(string left, string right)
    {
        if (left.Length > 100 || Math.Abs(left.Length - right.Length) > 3)
        {
            return int.MaxValue;
        }

        var d = new int[left.Length + 1, right.Length + 1];
        for (var i = 0; i <= left.Length; i++)
        {
            for (var j = 0; j <= right.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    d[i, j] = i + j;
                    continue;
                }

                var same = Same(left[i - 1], right[j - 1]);
                d[i, j] = Math.Min(Math.Min(d[i - 1, j], d[i, j - 1]) + 1, d[i - 1, j - 1] + (same ? 0 : 1));
                if (i > 1 && j > 1 && Same(left[i - 1], right[j - 2]) && Same(left[i - 2], right[j - 1]))
                {
                    d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
                }
            }
        }

        return d[left.Length, right.Length];
    }

    private static bool Same(char a, char b) => char.ToLowerInvariant(a) == char.ToLowerInvariant(b);
}
