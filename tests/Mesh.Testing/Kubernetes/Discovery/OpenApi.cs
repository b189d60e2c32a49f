using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Mesh.Testing.Kubernetes.Discovery;

/// <summary>An OpenAPI document that describes no kind: kubectl then leaves validation to the server.</summary>
internal static class OpenApi
{
    private const string Protobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

    // Document { swagger = 1: "2.0", info = 2 { title = 1: "fake", version = 2: "v1" }, paths = 8 {} }
    private static readonly byte[] Document = [0x0a, 3, .. "2.0"u8, 0x12, 10, 0x0a, 4, .. "fake"u8, 0x12, 2, .. "v1"u8, 0x42, 0];

    public static async Task AnswerAsync(HttpContext http)
    {
        if (http.Request.Headers.Accept.ToString().Contains("proto-openapi", StringComparison.Ordinal))
        {
            http.Response.ContentType = Protobuf;
            http.Response.ContentLength = Document.Length;
            await http.Response.Body.WriteAsync(Document);
            return;
        }

        await Answer.SendAsync(http, 200, new JsonObject
        {
            ["swagger"] = "2.0",
            ["info"] = new JsonObject { ["title"] = "fake", ["version"] = "v1" },
            ["paths"] = new JsonObject(),
            ["definitions"] = new JsonObject(),
        });
    }
}
