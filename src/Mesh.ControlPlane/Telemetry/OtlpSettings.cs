namespace Mesh.ControlPlane.Telemetry;

/// <summary>Reads where telemetry is given on to.</summary>
internal static class OtlpSettings
{
    public static IEnumerable<string> Problems(MeshControlPlaneOptions options)
    {
        if (options.Otlp is null)
        {
            if (options.OtlpProtocol != OtlpProtocol.Auto || options.OtlpHeaders is not null)
            {
                yield return "--otlp-protocol and --otlp-headers go with --otlp URL (Otlp): the collector.";
            }

            yield break;
        }

        if (Address(options.Otlp) is null)
        {
            yield return $"'{options.Otlp}' (--otlp) is no address of a collector. Use one such as http://127.0.0.1:4317 (gRPC) or http://127.0.0.1:4318 (HTTP).";
        }

        if (!Enum.IsDefined(options.OtlpProtocol))
        {
            yield return $"OtlpProtocol is {(int)options.OtlpProtocol}, which is none of its values. Use grpc or http/protobuf (--otlp-protocol).";
        }

        if (Headers(options.OtlpHeaders) is null)
        {
            // It may hold a key: not repeated.
            yield return "--otlp-headers can't be read. Use name=value, more with commas, such as api-key=abc,x-team=shop.";
        }
    }

    public static Uri? Address(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.Host.Length > 0 && uri.UserInfo.Length == 0 && uri.Query.Length == 0 && uri.Fragment.Length == 0 ? uri : null;

    /// <summary>Null when they can't be read.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>>? Headers(string? text)
    {
        var headers = new List<KeyValuePair<string, string>>();
        foreach (var part in (text ?? string.Empty).Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var at = part.IndexOf('=', StringComparison.Ordinal);
            var (name, value) = at < 1 ? (string.Empty, string.Empty) : (part[..at].Trim(), Uri.UnescapeDataString(part[(at + 1)..].Trim()));
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') || value.Any(c => c is < ' ' or > '~'))
            {
                return null;
            }

            headers.Add(new(name, value));
        }

        return headers;
    }
}
