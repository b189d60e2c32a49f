using System.Buffers.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Mesh.Jwt;

/// <summary>JSON and base64url as tokens and keys may have them: one reading of the bytes or none (RFC 8725 §2.4, RFC 7515 §4).</summary>
internal static class StrictJson
{
    private static readonly JsonDocumentOptions _options = new() { MaxDepth = 16, AllowDuplicateProperties = false };

    /// <summary>False unless it is one object in valid UTF-8, at most 16 deep, in which no member comes twice and every text can be read.</summary>
    public static bool TryParseObject(ReadOnlyMemory<byte> utf8, out JsonElement value)
    {
        value = default;
        if (!Utf8.IsValid(utf8.Span))
        {
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(utf8, _options);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                return false;
            }

            // Later readers must not meet a text that cannot be read (lone surrogates).
            Read(document.RootElement);
            value = document.RootElement.Clone();
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            return false;
        }
    }

    /// <summary>Without padding and white space, and in its one shortest form: another spelling of the same bytes is another text (RFC 7515 §2).</summary>
    public static bool TryDecode(ReadOnlySpan<char> base64Url, out byte[] bytes)
    {
        bytes = [];
        foreach (var c in base64Url)
        {
            if (!(char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
            {
                return false;
            }
        }

        // Bits of the last character that stand for nothing must be zero.
        var unused = (base64Url.Length % 4) switch { 0 => 0, 2 => 0x0f, 3 => 0x03, _ => -1 };
        if (unused < 0 || (unused > 0 && (ValueOf(base64Url[^1]) & unused) != 0))
        {
            return false;
        }

        bytes = Base64Url.DecodeFromChars(base64Url);
        return true;
    }

    private static int ValueOf(char c) => c switch
    {
        >= 'A' and <= 'Z' => c - 'A',
        >= 'a' and <= 'z' => c - 'a' + 26,
        >= '0' and <= '9' => c - '0' + 52,
        '-' => 62,
        _ => 63,
    };

    private static void Read(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in element.EnumerateObject())
                {
                    _ = member.Name;
                    Read(member.Value);
                }

                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                {
                    Read(item);
                }

                break;
            case JsonValueKind.String:
                _ = element.GetString();
                break;
            default:
                break;
        }
    }
}
