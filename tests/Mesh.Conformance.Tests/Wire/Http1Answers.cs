using System.Globalization;
using System.Text;

namespace Mesh.Conformance.Tests.Wire;

/// <param name="Version">Of the status line.</param>
internal sealed record Http1Answer(int Status, string Version, IReadOnlyDictionary<string, string> Fields, string Body);

/// <summary>Reads what a server answered on one connection up to its end, and is strict about it (RFC 9112 §6.3).</summary>
internal static class Http1Answers
{
    /// <summary>All bytes up to the connection's end, however that came.</summary>
    public static async Task<string> ReadAsync(Stream stream, TimeSpan? limit = null)
    {
        var text = new StringBuilder();
        var buffer = new byte[16384];
        try
        {
            while (await stream.ReadAsync(buffer, TestContext.Current.CancellationToken).AsTask().WaitAsync(limit ?? Patience.Limit, TestContext.Current.CancellationToken) is var count and > 0)
            {
                text.Append(Encoding.Latin1.GetString(buffer, 0, count));
            }
        }
        catch (IOException)
        {
            // Reset: what came before counts.
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"The connection stays open. So far: {text}");
        }

        return text.ToString();
    }

    /// <summary>The final answers; 1xx before them are left out.</summary>
    public static List<Http1Answer> Parse(string text)
    {
        var answers = new List<Http1Answer>();
        while (text.Length > 0)
        {
            var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            Assert.True(end >= 0, $"An answer's head without an end: {text}");
            var lines = text[..end].Split("\r\n");
            text = text[(end + 4)..];
            var status = int.Parse(lines[0].AsSpan(9, 3), CultureInfo.InvariantCulture);
            var fields = lines[1..].Select(l => l.Split(':', 2)).GroupBy(f => f[0].Trim(), f => f[1].Trim(), StringComparer.OrdinalIgnoreCase)
                .ToDictionary(g => g.Key, g => string.Join(",", g), StringComparer.OrdinalIgnoreCase);
            if (status < 200)
            {
                continue;
            }

            Assert.False(fields.ContainsKey("content-length") && fields.ContainsKey("transfer-encoding"), "RFC 9112 §6.2: an answer with both lengths.");
            var body = fields.TryGetValue("content-length", out var length) ? Take(ref text, int.Parse(length, CultureInfo.InvariantCulture))
                : fields.ContainsKey("transfer-encoding") ? Chunks(ref text) : Take(ref text, text.Length);
            answers.Add(new Http1Answer(status, lines[0][..8], fields, body));
        }

        return answers;
    }

    private static string Chunks(ref string text)
    {
        var body = new StringBuilder();
        while (true)
        {
            var end = text.IndexOf("\r\n", StringComparison.Ordinal);
            var size = int.Parse(Take(ref text, end), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            Take(ref text, 2);
            body.Append(Take(ref text, size));
            Assert.Equal("\r\n", Take(ref text, 2));
            if (size == 0)
            {
                return body.ToString();
            }
        }
    }

    private static string Take(ref string text, int count)
    {
        Assert.True(count >= 0 && count <= text.Length, $"An answer that ends too early: {text}");
        var taken = text[..count];
        text = text[count..];
        return taken;
    }
}
