using System.Text.Encodings.Web;
using System.Text.Json;
using Google.Protobuf;

namespace Mesh.ControlPlane.Tap;

/// <summary>Events between replicas: the same JSON that who looks gets.</summary>
internal static class TapJson
{
    private static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static ByteString Write<T>(T value) => UnsafeByteOperations.UnsafeWrap(JsonSerializer.SerializeToUtf8Bytes(value, Options));

    /// <summary>Null when it is not understood: another version's.</summary>
    public static T? Read<T>(ByteString bytes)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(bytes.Span, Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
