using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Sources.Kubernetes;

/// <summary>The Kubernetes API server refused, or can't be reached.</summary>
/// <param name="status">0 when there was no answer.</param>
/// <param name="reason">Its one word, such as <c>Conflict</c> or <c>Expired</c>; may be empty.</param>
/// <param name="retryAfter">How long it wants to be left alone.</param>
internal sealed class KubeApiException(HttpStatusCode status, string reason, string message, TimeSpan? retryAfter, Exception? inner = null) : Exception(message, inner)
{
    public HttpStatusCode Status => status;

    public string Reason => reason;

    public TimeSpan? RetryAfter => retryAfter;

    public bool IsNotFound => status == HttpStatusCode.NotFound;

    public bool IsConflict => status == HttpStatusCode.Conflict;

    /// <summary>The version to go on from is too old: list again.</summary>
    public bool IsExpired => status == HttpStatusCode.Gone;

    public static KubeApiException Of(HttpStatusCode status, string body, TimeSpan? retryAfter)
    {
        JsonObject? read = null;
        try
        {
            read = JsonNode.Parse(body) as JsonObject;
        }
        catch (JsonException)
        {
            // A proxy before it, or text.
        }

        return read?["kind"]?.GetValueKind() == JsonValueKind.String && read["kind"]!.GetValue<string>() == "Status" ? Of(read, retryAfter, status)
            : new KubeApiException(status, string.Empty, $"The Kubernetes API server answered {(int)status}: {(body.Length <= 200 ? body : body[..200] + "…").Trim()}", retryAfter);
    }

    /// <summary>Of an object of kind Status (meta/v1).</summary>
    public static KubeApiException Of(JsonObject status, TimeSpan? retryAfter, HttpStatusCode fallback = HttpStatusCode.InternalServerError)
    {
        var code = Number(status["code"]) is { } number ? (HttpStatusCode)number : fallback;
        if (retryAfter is null && Number((status["details"] as JsonObject)?["retryAfterSeconds"]) is { } seconds and > 0)
        {
            retryAfter = TimeSpan.FromSeconds(seconds);
        }

        return new KubeApiException(code, Text(status["reason"]) ?? string.Empty,
            string.Create(CultureInfo.InvariantCulture, $"The Kubernetes API server answered {(int)code}: {Text(status["message"]) ?? "it does not say why"}"), retryAfter);
    }

    public static KubeApiException Unreachable(Uri server, string why, Exception inner) =>
        new(0, string.Empty, $"The Kubernetes API server at {server} can't be reached: {why}", null, inner);

    private static int? Number(JsonNode? node) => node?.GetValueKind() == JsonValueKind.Number ? (int)node.GetValue<double>() : null;

    private static string? Text(JsonNode? node) => node?.GetValueKind() == JsonValueKind.String ? node.GetValue<string>() : null;
}
