using System.Globalization;
using System.Text;

namespace Mesh.Cli.Output;

/// <summary>Tapped requests in lines, as Linkerd's users know them.</summary>
internal static class TapLines
{
    // What the API gives in place of a value that nobody asked for.
    private const string Hidden = "…";

    public static string Of(TappedRequest request, bool wide)
    {
        var line = new StringBuilder();
        Add(line, "src", Name(request.SourceNamespace, request.Source));
        Add(line, "dst", Name(request.DestinationNamespace, request.Destination));
        Add(line, "tls", request.Tls == "mesh" ? "true" : "false");
        Add(line, ":method", request.Method);
        Add(line, ":authority", request.Authority);
        Add(line, ":path", request.Path);
        Add(line, ":status", request.Status?.ToString(CultureInfo.InvariantCulture));
        Add(line, "grpc-status", request.GrpcStatus?.ToString(CultureInfo.InvariantCulture));
        Add(line, request.Open ? "open" : "latency", Duration(request.LatencyMs));
        Add(line, "stream", request.Stream);
        Add(line, "attempts", request.Attempts > 1 ? request.Attempts.ToString(CultureInfo.InvariantCulture) : null);
        Add(line, "error", request.Error);
        if (wide)
        {
            Add(line, "side", request.Side);
            Add(line, "instance", request.Instance);
            Add(line, "endpoint", request.Endpoint);
            Add(line, "peer", request.Peer);
            Add(line, "route", request.Route);
            Add(line, "trace", request.TraceId);
        }

        Add(line, "req", request.RequestHeaders, wide);
        Add(line, "rsp", request.ResponseHeaders, wide);
        return line.ToString();
    }

    /// <summary>On a terminal nothing that others wrote does anything, and one value is one word.</summary>
    public static string Word(string text)
    {
        var clean = Mesh.Tap.TapText.Of(text);
        return clean.AsSpan().ContainsAny(' ', '"') ? $"\"{clean.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"" : clean;
    }

    public static string Name(string ns, string name) => ns.Length == 0 ? name : $"{ns}/{name}";

    private static string Duration(double ms) => ms switch
    {
        < 1 => (ms * 1000).ToString("0", CultureInfo.InvariantCulture) + "µs",
        < 1000 => ms.ToString("0.0", CultureInfo.InvariantCulture) + "ms",
        _ => (ms / 1000).ToString("0.00", CultureInfo.InvariantCulture) + "s",
    };

    private static void Add(StringBuilder line, string key, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            line.Append(line.Length > 0 ? " " : string.Empty).Append(key).Append('=').Append(Word(value));
        }
    }

    private static void Add(StringBuilder line, string of, IReadOnlyDictionary<string, string>? headers, bool wide)
    {
        foreach (var (name, value) in headers ?? new Dictionary<string, string>())
        {
            if (wide || value != Hidden)
            {
                Add(line, $"{of}.{Word(name)}", value);
            }
        }
    }
}
