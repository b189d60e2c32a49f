using System.Text;

namespace Mesh.Fuzz.Tests;

/// <summary>What can be done to text: the words of its grammar put, repeated, moved and exchanged, and characters that only look harmless.</summary>
/// <param name="words">What has a meaning in the grammar.</param>
internal sealed class TextMutation(params string[] words) : IMutation
{
    private static readonly string[] _odd =
        ["\0", "\r\n", "\t", " ", "\u00a0", "\u200b", "\ufeff", "\u202e", "\u0130", "\u00df", "\u212a", "é", "e\u0301", "\ud83d\ude00", "%", "%2F", "%2e", "\\", "../", "//", ":", "@", "?", "#", "-1", "0", "00", "1e9", "2147483648", "9223372036854775808", "''", "\""];

    public byte[] Apply(byte[] input, Random random)
    {
        var text = Encoding.UTF8.GetString(input);
        var at = random.Next(text.Length + 1);
        return Encoding.UTF8.GetBytes(random.Next(6) switch
        {
            0 => text.Insert(at, Word(random)),
            1 => text.Insert(at, _odd[random.Next(_odd.Length)]),
            2 => Exchange(text, random),
            3 => Lines(text, random),
            4 => text.Insert(at, string.Concat(Enumerable.Repeat(Word(random), 1 << random.Next(12)))),
            _ => random.Next(2) == 0 ? text.ToUpperInvariant() : text.ToLowerInvariant(),
        });
    }

    private string Word(Random random) => words.Length == 0 ? _odd[random.Next(_odd.Length)] : words[random.Next(words.Length)];

    /// <summary>One word for another.</summary>
    private string Exchange(string text, Random random)
    {
        var old = Word(random);
        var at = text.IndexOf(old, StringComparison.Ordinal);
        return at < 0 ? text : string.Concat(text.AsSpan(0, at), Word(random), text.AsSpan(at + old.Length));
    }

    private static string Lines(string text, Random random)
    {
        var lines = text.Split('\n').ToList();
        var (from, to) = (random.Next(lines.Count), random.Next(lines.Count));
        var line = lines[from];
        switch (random.Next(4))
        {
            case 0:
                lines.RemoveAt(from);
                break;
            case 1:
                lines.Insert(to, line);
                break;
            case 2:
                lines[from] = "  " + line;
                break;
            default:
                (lines[from], lines[to]) = (lines[to], line);
                break;
        }

        return string.Join('\n', lines);
    }
}
