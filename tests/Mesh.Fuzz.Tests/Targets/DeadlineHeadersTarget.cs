using System.Text;
using Mesh.Traffic;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>The headers that say how long a caller waits. No hop may give more than it was given.</summary>
internal sealed class DeadlineHeadersTarget : IFuzzTarget
{
    private delegate bool TryParse(ReadOnlySpan<char> value, out TimeSpan timeout);

    public string Name => "deadline-headers";

    public int Iterations => 20_000;

    public IReadOnlyList<byte[]> Corpus { get; } =
        [.. new[] { "1S", "99999999H", "24H", "86400S", "1m", "1u", "1n", "100", "0", "1500", "1.5", "1.234", "0.001", "86400", "86400.000", " 2 ", "1.", ".5", "-1", "+1", "1e3", "", "٣S" }.Select(Encoding.UTF8.GetBytes)];

    public IReadOnlyList<IMutation> Mutations { get; } = [new TextMutation("H", "M", "S", "m", "u", "n", "0", "1", "9", "99999999", ".", "-", "+", " ")];

    public string Run(byte[] input)
    {
        var text = Encoding.UTF8.GetString(input);
        return string.Join(' ', One(text, DeadlineHeaders.TryParseGrpc, DeadlineHeaders.FormatGrpc), One(text, DeadlineHeaders.TryParseEnvoy, DeadlineHeaders.FormatEnvoy), One(text, DeadlineHeaders.TryParseHttp, DeadlineHeaders.FormatHttp));
    }

    private static string One(string text, TryParse parse, Func<TimeSpan, string> format)
    {
        if (!parse(text, out var timeout))
        {
            return "no";
        }

        Holds.That(timeout >= TimeSpan.Zero && timeout <= DeadlineHeaders.Longest, $"'{text}' is {timeout}");
        Holds.That(text.All(c => char.IsAscii(c)), $"'{text}' was read");
        if (timeout == TimeSpan.Zero)
        {
            return "zero";
        }

        var written = format(timeout);
        Holds.That(parse(written, out var again) && again > TimeSpan.Zero, $"'{text}' is written as '{written}', which is not read again");
        Holds.That(again <= timeout || timeout < TimeSpan.FromMilliseconds(1), $"'{text}' ({timeout}) is written as '{written}' ({again})");
        return timeout < TimeSpan.FromSeconds(1) ? "short" : "long";
    }
}
