using System.Globalization;

namespace Mesh.Tap;

/// <summary>Which outcomes a tap is about.</summary>
/// <param name="Kind">The default value takes all.</param>
/// <param name="Code">HTTP status, its first digit, or gRPC status.</param>
internal readonly record struct TapStatus(TapStatusKind Kind, int Code)
{
    /// <summary>What <see cref="TryParse"/> takes, for people.</summary>
    public const string Rule = "an HTTP status such as 503, a class such as 5xx, 'failed', or 'grpc:' with a gRPC status such as grpc:14";

    public static bool TryParse(string? text, out TapStatus status)
    {
        status = default;
        if (string.IsNullOrEmpty(text))
        {
            return true;
        }

        if (text == "failed")
        {
            status = new(TapStatusKind.Failed, 0);
            return true;
        }

        if (text.Length == 3 && text[0] is >= '1' and <= '5' && text.AsSpan(1).Equals("xx", StringComparison.OrdinalIgnoreCase))
        {
            status = new(TapStatusKind.Class, text[0] - '0');
            return true;
        }

        var grpc = text.StartsWith("grpc:", StringComparison.Ordinal);
        if (!int.TryParse(grpc ? text.AsSpan(5) : text, NumberStyles.None, CultureInfo.InvariantCulture, out var code) || (grpc ? code > 16 : code is < 100 or > 599))
        {
            return false;
        }

        status = new(grpc ? TapStatusKind.Grpc : TapStatusKind.Http, code);
        return true;
    }

    public bool Takes(in TapFacts facts) => Kind switch
    {
        TapStatusKind.Any => true,
        TapStatusKind.Failed => facts.Failed,
        TapStatusKind.Class => facts.Status / 100 == Code,
        TapStatusKind.Http => facts.Status == Code,
        _ => facts.GrpcStatus == Code,
    };
}

internal enum TapStatusKind
{
    Any,
    Failed,

    /// <summary>By the first digit.</summary>
    Class,
    Http,
    Grpc,
}
