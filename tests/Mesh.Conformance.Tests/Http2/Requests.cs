using Mesh.Conformance.Tests.Wire;

namespace Mesh.Conformance.Tests.Http2;

/// <summary>Header blocks of requests that have nothing wrong, to be added to or cut from.</summary>
internal static class Requests
{
    public const string Authority = "conformance.test";

    public static byte[] Get(string path = "/", params ReadOnlySpan<(string, string)> fields) => Request("GET", path, fields);

    public static byte[] Post(string path = "/", params ReadOnlySpan<(string, string)> fields) => Request("POST", path, fields);

    public static byte[] Request(string method, string path, params ReadOnlySpan<(string, string)> fields) =>
        [.. Hpack.Block((":method", method), (":scheme", "http"), (":authority", Authority), (":path", path)), .. Hpack.Block(fields)];
}
