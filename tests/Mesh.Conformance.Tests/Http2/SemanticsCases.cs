using Mesh.Conformance.Tests.Wire;
using static Mesh.Conformance.Tests.Http2.Http2Case;
using static Mesh.Conformance.Tests.Http2.Requests;
using static Mesh.Conformance.Tests.Wire.ErrorCode;

namespace Mesh.Conformance.Tests.Http2;

/// <summary>RFC 9113 §8: what a request is made of.</summary>
internal static class SemanticsCases
{
    private const Flags Open = Flags.EndHeaders;

    public static IEnumerable<Http2Case> All => [.. Messages, .. Lengths, .. Names, .. Values, .. ConnectionFields, .. PseudoFields, .. Connect, .. Limits];

    private static IEnumerable<Http2Case> Messages =>
    [
        Of("§8.1", "HEADERS, DATA, trailers", w => w.Headers(1, Post(), Open).Data(1, "ok"u8, Flags.None).Headers(1, Hpack.Block(("x-trailer", "1"))), Allowed.Served, 1)
            // Whoever stands between may leave trailers out (RFC 9110 §6.5.1).
            with { Then = r => Assert.Equal(("ok", "1"), (r.Single().Body, r.Single().Headers.GetValueOrDefault("trailer:x-trailer", "1"))) },
        Of("§8.1", "HEADERS and trailers without DATA", w => w.Headers(1, Post(), Open).Headers(1, Hpack.Block(("x-trailer", "1"))), Allowed.Served, 1),
        Of("§8.1", "trailers without END_STREAM", w => w.Headers(1, Post(), Open).Data(1, [1], Flags.None).Headers(1, Hpack.Block(("x-trailer", "1")), Open), Allowed.Malformed, 1),
        Of("§8.1", "DATA after trailers", w => w.Headers(1, Post("/hold"), Open).Headers(1, Hpack.Block(("x-trailer", "1"))).Data(1, [1]), Allowed.Stream(StreamClosed), 1),
        Of("§8.1", "trailers with a pseudo-header", w => w.Headers(1, Post(), Open).Data(1, [1], Flags.None).Headers(1, Hpack.Block((":path", "/"))), Allowed.Malformed, 1),
        Of("§8.1", "trailers with a name in upper case", w => w.Headers(1, Post(), Open).Data(1, [1], Flags.None).Headers(1, Hpack.Block(("X-Trailer", "1"))), Allowed.Malformed, 1),
        Of("§8.1", "trailers with a connection-specific field", w => w.Headers(1, Post(), Open).Data(1, [1], Flags.None).Headers(1, Hpack.Block(("transfer-encoding", "chunked"))), Allowed.Malformed, 1),
        Of("§8.1", "an answer before the request's end: RST_STREAM NO_ERROR after it or nothing", w => w.Headers(1, Post("/early"), Open), Allowed.Served, 1),
        Of("§8.1.1", "the app never sees a malformed request", w => w.Headers(1, Get("/", ("X-UPPER", "1"))).Headers(3, Get("/early")), Allowed.Status(200) | Allowed.Connection(ProtocolError), 3)
            with { Then = r => Assert.DoesNotContain(r, x => x.Target == "/") },
        new("§8.1", "a stream goes on when its neighbour is malformed, or the connection ends", async w =>
        {
            await w.Headers(1, Post(), Open).Headers(3, Get("/", ("x:y", "1"))).Data(1, "ok"u8).FlushAsync();
        }, Allowed.Status(200) | Allowed.Connection(ProtocolError), 1),
        new("§9110 9.3.2", "an answer to HEAD has no content", async w =>
        {
            await w.Headers(1, Request("HEAD", "/")).FlushAsync();
            Assert.Empty((await w.BodyAsync(1)).SelectMany(f => f.Payload));
        }, Allowed.Alive),
    ];

    private static IEnumerable<Http2Case> Lengths =>
    [
        Of("§8.1.1", "content-length equal to the DATA", w => w.Headers(1, Post("/", ("content-length", "2")), Open).Data(1, "o"u8, Flags.None).Data(1, "k"u8), Allowed.Served, 1)
            with { Then = r => Assert.Equal("ok", r.Single().Body) },
        Of("§8.1.1", "content-length above one DATA", w => w.Headers(1, Post("/", ("content-length", "3")), Open).Data(1, "ok"u8), Allowed.Malformed, 1),
        Of("§8.1.1", "content-length below one DATA", w => w.Headers(1, Post("/", ("content-length", "1")), Open).Data(1, "ok"u8), Allowed.Malformed, 1),
        Of("§8.1.1", "content-length above the sum of DATA", w => w.Headers(1, Post("/", ("content-length", "5")), Open).Data(1, "ok"u8, Flags.None).Data(1, "ok"u8), Allowed.Malformed, 1),
        Of("§8.1.1", "content-length below the sum of DATA", w => w.Headers(1, Post("/", ("content-length", "3")), Open).Data(1, "ok"u8, Flags.None).Data(1, "ok"u8), Allowed.Malformed, 1),
        Of("§8.1.1", "content-length and no DATA", w => w.Headers(1, Post("/", ("content-length", "1"))), Allowed.Malformed, 1),
        Of("§8.1.1", "content-length, and trailers in place of DATA", w => w.Headers(1, Post("/", ("content-length", "1")), Open).Headers(1, Hpack.Block(("x-trailer", "1"))), Allowed.Malformed, 1),
        Of("§8.1.1", "two content-lengths that differ", w => w.Headers(1, Post("/", ("content-length", "2"), ("content-length", "3")), Open).Data(1, "ok"u8), Allowed.Malformed, 1),
        Of("§8.1.1", "a content-length that is no number", w => w.Headers(1, Post("/", ("content-length", "2x")), Open).Data(1, "ok"u8), Allowed.Malformed, 1),
        Of("§8.1.1", "a content-length with a sign", w => w.Headers(1, Post("/", ("content-length", "+2")), Open).Data(1, "ok"u8), Allowed.Malformed, 1),
        Of("§8.1.1", "a content-length below zero", w => w.Headers(1, Post("/", ("content-length", "-1")), Open).Data(1, "ok"u8), Allowed.Malformed, 1),
        Of("§8.1.1", "a content-length of 2^64 + 2", w => w.Headers(1, Post("/", ("content-length", "18446744073709551618")), Open).Data(1, "ok"u8), Allowed.Malformed, 1),
    ];

    private static IEnumerable<Http2Case> Names =>
    [
        Name("in upper case", "X-VALUE"),
        Name("with one upper-case letter", "x-valuE"),
        Name("with a space", "x value"),
        Name("with a space at its end", "x-value "),
        Name("with a tab", "x\tvalue"),
        Name("with NUL", "x\0value"),
        Name("with CR LF", "x\r\nvalue"),
        Name("with DEL", "x\u007fvalue"),
        Name("with an octet above 0x7f", "x\u00e4value"),
        Name("with a colon within", "x:value"),
        Name("with a quote, which is no token", "x\"value"),
        Name("that is empty", ""),
        Of("§8.2.1", "the other characters of a token are taken", w => w.Headers(1, Get("/", ("!#$%&'*+-.^_`|~0a", "1"))), Allowed.Served, 1)
            with { Then = r => Assert.Equal("1", r.Single().Headers["!#$%&'*+-.^_`|~0a"]) },
    ];

    private static IEnumerable<Http2Case> Values =>
    [
        Value("with NUL", "a\0b"),
        Value("with LF", "a\nb"),
        Value("with CR", "a\rb"),
        Value("with CR LF and a field", "a\r\nx-injected: 1"),
        Value("that begins with a space", " a"),
        Value("that ends with a space", "a "),
        Value("that begins with a tab", "\ta"),
        Value("that ends with a tab", "a\t"),
        Of("§8.2.1", "spaces and tabs within a value are taken", w => w.Headers(1, Get("/", ("x-value", "a \t b"))), Allowed.Served, 1) with { Then = r => Assert.Equal("a \t b", r.Single().Headers["x-value"]) },
        Of("§8.2.1", "an empty value is taken", w => w.Headers(1, Get("/", ("x-value", ""))), Allowed.Served, 1) with { Then = r => Assert.Equal("", r.Single().Headers["x-value"]) },
    ];

    private static IEnumerable<Http2Case> ConnectionFields =>
    [
        Field("connection", "close"),
        Field("connection", "keep-alive"),
        Field("proxy-connection", "keep-alive"),
        Field("keep-alive", "timeout=5"),
        Field("transfer-encoding", "chunked"),
        Field("transfer-encoding", "identity"),
        Field("upgrade", "websocket"),
        Field("te", "gzip"),
        Field("te", "trailers, deflate"),
        Of("§8.2.2", "te: trailers is taken", w => w.Headers(1, Get("/", ("te", "trailers"))), Allowed.Served, 1),
        Of("§8.2.3", "cookie in several fields is one cookie", w => w.Headers(1, Get("/", ("cookie", "a=1"), ("cookie", "b=2"), ("x-value", "1"), ("cookie", "c=3"))), Allowed.Served, 1)
            with { Then = r => Assert.Equal("a=1; b=2; c=3", r.Single().Headers["cookie"]) },
    ];

    private static IEnumerable<Http2Case> PseudoFields =>
    [
        Pseudo("§8.3", "that is not known", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "/"), (":test", "1")),
        Pseudo("§8.3", "of responses", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "/"), (":status", "200")),
        Pseudo("§8.3", "with an empty name", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "/"), (":", "1")),
        Pseudo("§8.3", "after a field", (":method", "GET"), (":scheme", "http"), (":authority", Authority), ("x-value", "1"), (":path", "/")),
        Pseudo("§8.3.1", ":method is missing", (":scheme", "http"), (":authority", Authority), (":path", "/")),
        Pseudo("§8.3.1", ":scheme is missing", (":method", "GET"), (":authority", Authority), (":path", "/")),
        Pseudo("§8.3.1", ":path is missing", (":method", "GET"), (":scheme", "http"), (":authority", Authority)),
        Pseudo("§8.3.1", "all are missing", ("x-value", "1")),
        Pseudo("§8.3", ":method twice", (":method", "GET"), (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "/")),
        Pseudo("§8.3", ":scheme twice", (":method", "GET"), (":scheme", "http"), (":scheme", "http"), (":authority", Authority), (":path", "/")),
        Pseudo("§8.3", ":path twice", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "/"), (":path", "/other")),
        Pseudo("§8.3", ":authority twice", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":authority", "other.test"), (":path", "/")),
        Pseudo("§8.3.1", ":path is empty", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "")),
        Pseudo("§8.3.1", ":path does not begin with a slash", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "admin")),
        Pseudo("§8.3.1", ":path is * and the method is not OPTIONS", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "*")),
        Pseudo("§8.3.1", ":path with NUL", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "/a\0b")),
        Of("§8.3.1", ":path with a space", w => w.Headers(1, Request("GET", "/a b")), Allowed.Malformed | Allowed.Status(501), 1),
        Pseudo("§8.3.1", ":path with CR", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "/a\rb")),
        Pseudo("§8.3.1", ":path with LF", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "/a\nb")),
        Pseudo("§8.3.1", ":path with a space and a version", (":method", "GET"), (":scheme", "http"), (":authority", Authority), (":path", "/ HTTP/1.1\r\nx-injected: 1")),
        Pseudo("§8.3.1", ":method with a space", (":method", "GET /admin"), (":scheme", "http"), (":authority", Authority), (":path", "/")),
        Pseudo("§8.3.1", ":method is empty", (":method", ""), (":scheme", "http"), (":authority", Authority), (":path", "/")),
        Pseudo("§8.3.1", ":scheme is not the connection's", (":method", "GET"), (":scheme", "ftp://x"), (":authority", Authority), (":path", "/")),
        Pseudo("§8.3.1", ":authority with userinfo", (":method", "GET"), (":scheme", "http"), (":authority", $"user@{Authority}"), (":path", "/")),
        Pseudo("§8.3.1", ":authority with a path", (":method", "GET"), (":scheme", "http"), (":authority", $"{Authority}/x"), (":path", "/")),
        Of("§8.3.1", ":authority and another host: malformed (SHOULD), else :authority counts", w => w.Headers(1, Get("/", ("host", "other.test"))), Allowed.Malformed | Allowed.Served, 1)
            with { Then = r => Assert.Equal((Authority, Authority), (r.Single().Host, r.Single().Headers["host"])) },
        Pseudo("§8.3.1", "two hosts and no :authority", (":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", Authority), ("host", "other.test")),
        Of("§8.3.1", "host in place of :authority is taken", w => w.Headers(1, Hpack.Block((":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", Authority))), Allowed.Served, 1)
            with { Then = r => Assert.Equal(Authority, r.Single().Host) },
        Of("§8.3.1", ":authority and the same host is taken", w => w.Headers(1, Get("/", ("host", Authority))), Allowed.Served, 1) with { Then = r => Assert.Equal(Authority, r.Single().Host) },
        Of("§8.3.1", "OPTIONS * is taken, or not implemented", w => w.Headers(1, Request("OPTIONS", "*")), Allowed.Status(200, 501), 1) with { Then = r => Assert.Equal("*", r.Single().Target) },
        Of("§8.3.1", "pseudo-headers in any order are taken", w => w.Headers(1, Hpack.Block((":path", "/"), (":authority", Authority), (":scheme", "http"), (":method", "GET"))), Allowed.Served, 1),
    ];

    private static IEnumerable<Http2Case> Connect =>
    [
        Of("§8.5", "CONNECT with :scheme and :path", w => w.Headers(1, Request("CONNECT", "/")), Allowed.Malformed, 1),
        Of("§8.5", "CONNECT with :scheme", w => w.Headers(1, Hpack.Block((":method", "CONNECT"), (":scheme", "http"), (":authority", "other.test:443"))), Allowed.Malformed, 1),
        Of("§8.5", "CONNECT with :path", w => w.Headers(1, Hpack.Block((":method", "CONNECT"), (":authority", "other.test:443"), (":path", "/"))), Allowed.Malformed, 1),
        Of("§8.5", "CONNECT without :authority", w => w.Headers(1, Hpack.Block((":method", "CONNECT"), ("host", "other.test:443"))), Allowed.Malformed | Allowed.Status(501, 502), 1),
        Of("RFC 8441 §4", ":protocol without CONNECT", w => w.Headers(1, [.. Hpack.Block((":protocol", "websocket")), .. Get()]), Allowed.Malformed, 1),
        Of("RFC 8441 §4", "extended CONNECT without :path", w => w.Headers(1, Hpack.Block((":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", Authority))), Allowed.Malformed, 1),
    ];

    private static IEnumerable<Http2Case> Limits =>
    [
        Of("§10.5.1", "a header list above what the server takes", w =>
        {
            var block = Get("/", ("x-value", new string('a', 60_000)));
            w.Headers(1, block.AsSpan()[..16384], Flags.EndStream).Continuation(1, block.AsSpan()[16384..32768], Flags.None).Continuation(1, block.AsSpan()[32768..49152], Flags.None).Continuation(1, block.AsSpan()[49152..]);
        }, Allowed.Status(431) | Allowed.Connection(ProtocolError, EnhanceYourCalm, CompressionError, InternalError), 1),
    ];

    private static Http2Case Name(string what, string name) => Of("§8.2.1", $"a field name {what}", w => w.Headers(1, Get("/", (name, "1"))), Allowed.Malformed, 1);

    private static Http2Case Value(string what, string value) => Of("§8.2.1", $"a field value {what}", w => w.Headers(1, Get("/", ("x-value", value))), Allowed.Malformed, 1);

    private static Http2Case Field(string name, string value) => Of("§8.2.2", $"{name}: {value}", w => w.Headers(1, Get("/", (name, value))), Allowed.Malformed, 1);

    private static Http2Case Pseudo(string section, string what, params (string, string)[] fields) =>
        Of(section, what.StartsWith(':') || what.Contains("missing", StringComparison.Ordinal) || what.StartsWith("two", StringComparison.Ordinal) ? what : $"a pseudo-header {what}", w => w.Headers(1, Hpack.Block(fields)), Allowed.Malformed, 1);
}
