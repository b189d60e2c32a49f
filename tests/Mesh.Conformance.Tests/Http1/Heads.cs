namespace Mesh.Conformance.Tests.Http1;

internal static class Heads
{
    public const string Host = "Host: conformance.test";

    /// <summary>A request that one would like the app to see on its own.</summary>
    public const string Smuggled = "GET /smuggled HTTP/1.1\r\nHost: conformance.test\r\n\r\n";

    public const string Chunked = "Transfer-Encoding: chunked";

    public static string Post(params string[] fields) => Head("POST / HTTP/1.1", [Host, .. fields]);

    public static string Get(params string[] fields) => Head("GET / HTTP/1.1", [Host, .. fields]);

    public static string Head(string line, params string[] fields) => string.Concat([line, "\r\n", .. fields.Select(f => f + "\r\n"), "\r\n"]);

    public static string ChunkedPost(string body) => Post(Chunked) + body;
}
