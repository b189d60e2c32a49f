using static Mesh.Conformance.Tests.Http1.Heads;
using static Mesh.Conformance.Tests.Http1.Http1Case;

namespace Mesh.Conformance.Tests.Http1;

/// <summary>RFC 9112 §6, §7: where a body ends. Each case is one that some pair of servers has read in two ways.</summary>
internal static class SmugglingCases
{
    private static readonly int[] _badCoding = [400, 501];

    /// <summary>500: to the app it is a body that cannot be read.</summary>
    private static readonly int[] _badSize = [400, 413, 500];

    public static IEnumerable<Http1Case> All => [.. Both, .. Codings, .. Lengths, .. Bodies, .. Chunks, .. Extensions, .. Trailers];

    /// <summary>Content-Length and Transfer-Encoding: refused, or chunked and then the connection ends (§6.1, §6.3).</summary>
    private static IEnumerable<Http1Case> Both =>
    [
        Ambiguous("CL.TE: the length covers more than the chunks", Post("Content-Length: 6", Chunked) + "0\r\n\r\nG", "POST /"),
        Ambiguous("CL.TE: a request behind the chunks", Post($"Content-Length: {5 + Smuggled.Length}", Chunked) + "0\r\n\r\n" + Smuggled, "POST /"),
        Ambiguous("TE.CL: the length covers less than the chunks", Post("Content-Length: 4", Chunked) + $"{Smuggled.Length:x}\r\n{Smuggled}\r\n0\r\n\r\n", $"POST / {Smuggled}"),
        Ambiguous("TE.CL: the fields in the other order", Post(Chunked, "Content-Length: 4") + $"{Smuggled.Length:x}\r\n{Smuggled}\r\n0\r\n\r\n", $"POST / {Smuggled}"),
        Ambiguous("CL 0 and chunks", Post("Content-Length: 0", Chunked) + "2\r\nok\r\n0\r\n\r\n", "POST / ok"),
        Ambiguous("equal lengths", Post("Content-Length: 12", Chunked) + "2\r\nok\r\n0\r\n\r\n", "POST / ok"),
    ];

    /// <summary>TE.TE: codings that one server takes for chunked and another does not. With both lengths, so that either reading shows.</summary>
    private static IEnumerable<Http1Case> Codings =>
    [
        Coding("xchunked", "Transfer-Encoding: xchunked"),
        Coding("identity", "Transfer-Encoding: identity"),
        Coding("chunked, identity", "Transfer-Encoding: chunked, identity"),
        LastChunked("identity, chunked", "Transfer-Encoding: identity, chunked"),
        LastChunked("gzip, chunked", "Transfer-Encoding: gzip, chunked"),
        LastChunked("chunked twice", "Transfer-Encoding: chunked, chunked"),
        Coding("chunked and another in a second field", Chunked, "Transfer-Encoding: x"),
        LastChunked("another and chunked in a second field", "Transfer-Encoding: x", Chunked),
        Coding("chunked in quotes", "Transfer-Encoding: \"chunked\""),
        Coding("chunked with a parameter", "Transfer-Encoding: chunked;a=b"),
        LastChunked("chunked and a comma", "Transfer-Encoding: chunked,"),
        LastChunked("a comma and chunked", "Transfer-Encoding: ,chunked"),
        Coding("no value", "Transfer-Encoding:"),
        Coding("a vertical tab before it", "Transfer-Encoding: \vchunked"),
        Coding("NUL behind it", "Transfer-Encoding: chunked\0"),
        Coding("a no-break space before it", "Transfer-Encoding: \u00a0chunked"),
        Coding("a space before the colon", "Transfer-Encoding : chunked"),
        Coding("a tab before the colon", "Transfer-Encoding\t: chunked"),
        Coding("an LF before the colon", "Transfer-Encoding\n: chunked"),
        Coding("a value on a line of its own", "Transfer-Encoding:\r\n chunked"),
        Coding("behind another field's folded line", $"X-Value: 1\r\n {Chunked}"),
        Coding("behind another field's CR", $"X-Value: 1\r{Chunked}"),
        LastChunked("behind another field's LF", $"X-Value: 1\n{Chunked}"),
        LastChunked("an LF in place of CR LF", $"{Chunked}\nX-Value: 1"),
        Coding("a Kelvin sign's last octet for k", "Transfer-Encoding: chun\u00aaed"),
        Either("§7", "CHUNKED: codings do not differ by case", Post("Transfer-Encoding: CHUNKED") + "2\r\nok\r\n0\r\n\r\n", "POST / ok"),
        Served("§5.1", "a tab before chunked", Post("Transfer-Encoding:\tchunked") + "2\r\nok\r\n0\r\n\r\n", "POST / ok"),
        Refused("§6.1", "a coding that is not known, alone", Post("Transfer-Encoding: x") + Smuggled, _badCoding),
        Refused("§6.3", "chunked is not the last coding", Post("Transfer-Encoding: chunked, gzip") + "0\r\n\r\n" + Smuggled, _badCoding),
        new("§6.1", "chunked in HTTP/1.0: refused, or served and the end", Head("POST / HTTP/1.0", Host, "Connection: keep-alive", Chunked) + "2\r\nok\r\n0\r\n\r\n" + Smuggled,
            new Reading(false), new Reading(false, "POST / ok")) { Statuses = [400, 501] },
    ];

    private static IEnumerable<Http1Case> Lengths =>
    [
        Length("two that differ", "Content-Length: 2", "Content-Length: 54"),
        Length("two that differ, the larger first", "Content-Length: 54", "Content-Length: 2"),
        Length("a list that differs", "Content-Length: 2, 54"),
        Length("a sign", "Content-Length: +2"),
        Length("below zero", "Content-Length: -2"),
        Length("hexadecimal", "Content-Length: 0x2"),
        Length("an exponent", "Content-Length: 2e0"),
        Length("a fraction", "Content-Length: 2.0"),
        Length("an underscore", "Content-Length: 5_4"),
        Length("a space within", "Content-Length: 5 4"),
        Length("a NUL within", "Content-Length: 2\04"),
        Length("no digit", "Content-Length:"),
        Length("words", "Content-Length: two"),
        Length("2^64 + 2", "Content-Length: 18446744073709551618"),
        Length("2^63", "Content-Length: 9223372036854775808"),
        Length("a superscript digit", "Content-Length: \u00b2"),
        Length("a space before the colon", "Content-Length : 2"),
        Length("a value on a line of its own", "Content-Length:\r\n 2"),
        Either("§6.3", "two equal lengths: refused, or one", Post("Content-Length: 2", "Content-Length: 2") + "ok", "POST / ok"),
        Either("§6.3", "a list of equal lengths: refused, or one", Post("Content-Length: 2, 2") + "ok", "POST / ok"),
        Served("§6.2", "leading zeros", Post("Content-Length: 0002") + "ok", "POST / ok"),
        Served("§5.1", "spaces around a length", Post("Content-Length:  2 ") + "ok", "POST / ok"),
    ];

    private static IEnumerable<Http1Case> Bodies =>
    [
        Served("§6.3", "no length: no body", Post(), "POST /"),
        Served("§6.3", "a body that looks like a request", Post($"Content-Length: {Smuggled.Length}") + Smuggled, $"POST / {Smuggled}"),
        Served("§6.3", "a GET's body that looks like a request", Get($"Content-Length: {Smuggled.Length}") + Smuggled, $"GET / {Smuggled}"),
        Served("§6.3", "a chunked GET's body that looks like a request", Get(Chunked) + $"{Smuggled.Length:x}\r\n{Smuggled}\r\n0\r\n\r\n", $"GET / {Smuggled}"),
        Served("§6.3", "two requests: the front's count is the app's", Post("Content-Length: 2") + "ok" + Smuggled, "POST / ok", "GET /smuggled"),
        Served("§6.3", "a body the app does not read", Head("POST /early HTTP/1.1", Host, $"Content-Length: {Smuggled.Length}") + Smuggled, "POST /early"),
        Served("§6.3", "Content-Length in a field's value is none", Post("X-Value: Content-Length: 5"), "POST /"),
        Refused("§9.6", "CONNECT with early data", Head("CONNECT conformance.test:80 HTTP/1.1", "Host: conformance.test:80") + Smuggled, 400, 404, 405, 501),
    ];

    private static IEnumerable<Http1Case> Chunks =>
    [
        Served("§7.1", "sizes in both cases, with leading zeros", ChunkedPost("0a\r\n0123456789\r\n0A\r\n0123456789\r\n00000\r\n\r\n"), "POST / 01234567890123456789"),
        Served("§7.1", "no chunk but the last", ChunkedPost("0\r\n\r\n"), "POST /"),
        BadChunk("no size", "\r\nok\r\n0\r\n\r\n"),
        BadChunk("a size that is no number", "G\r\nok\r\n0\r\n\r\n"),
        BadChunk("a size with 0x", "0x2\r\nok\r\n0\r\n\r\n"),
        BadChunk("a size with a sign", "+2\r\nok\r\n0\r\n\r\n"),
        BadChunk("a size below zero", "-2\r\nok\r\n0\r\n\r\n"),
        BadChunk("a space before a size", " 2\r\nok\r\n0\r\n\r\n"),
        BadChunk("an underscore in a size", "0_2\r\nok\r\n0\r\n\r\n"),
        BadChunk("a size of 2^64 + 2", "10000000000000002\r\nok\r\n0\r\n\r\n") with { Statuses = _badSize },
        BadChunk("a size of 2^32 + 2", "100000002\r\nok\r\n0\r\n\r\n") with { Statuses = _badSize },
        BadChunk("a size that ends with LF", "2\nok\r\n0\r\n\r\n"),
        BadChunk("a size that ends with CR", "2\rok\r\n0\r\n\r\n"),
        BadChunk("data that end with LF", "2\r\nok\n0\r\n\r\n"),
        BadChunk("data that end with nothing", "2\r\nok0\r\n\r\n"),
        BadChunk("data longer than their size", "2\r\nokay\r\n0\r\n\r\n"),
        BadChunk("data longer than their size by what ends a chunk", $"2\r\nok\r\r\n0\r\n\r\n{Smuggled}"),
        BadChunk("a last chunk that ends with LF", $"0\n\n{Smuggled}"),
        Either("§2.2", "trailers that end with LF: refused, or a line's end", ChunkedPost($"0\r\n\n{Smuggled}"), "POST /", "GET /smuggled"),
        Either("§7.1", "a space after a size: refused, or the size", ChunkedPost("2 \r\nok\r\n0\r\n\r\n"), "POST / ok"),
    ];

    /// <summary>CVE-2025-55315 is of this kind: a line of an extension that one server ends elsewhere than another.</summary>
    private static IEnumerable<Http1Case> Extensions =>
    [
        Either("§7.1.1", "an extension is ignored", ChunkedPost("2;a=b\r\nok\r\n0;c\r\n\r\n"), "POST / ok"),
        Either("§7.1.1", "an extension with a quoted value", ChunkedPost("2;a=\"b;c\"\r\nok\r\n0\r\n\r\n"), "POST / ok"),
        BadChunk("an extension with LF", "2;\nxx\r\n50\r\n0\r\n\r\n" + Smuggled),
        BadChunk("an extension with LF within", "2;a\nok\r\n0\r\n\r\n" + Smuggled),
        BadChunk("an extension with CR", "2;\rxx\r\nok\r\n0\r\n\r\n" + Smuggled),
        BadChunk("an extension with CR before CR LF", "2;a\r\r\nok\r\n0\r\n\r\n" + Smuggled),
        BadChunk("an extension of the last chunk with LF", "0;\n\r\n" + Smuggled),
        BadChunk("an extension of the last chunk with CR", "0;\rx\r\n\r\n" + Smuggled),
        BadChunk("a quoted extension with LF", "2;a=\"\n\"\r\nok\r\n0\r\n\r\n" + Smuggled),
    ];

    private static IEnumerable<Http1Case> Trailers =>
    [
        Served("§7.1.2", "trailers", ChunkedPost("2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n"), "POST / ok"),
        Either("§7.1.2", "Content-Length in trailers does not count", ChunkedPost("2\r\nok\r\n0\r\nContent-Length: 40\r\n\r\n"), "POST / ok"),
        Either("§7.1.2", "Transfer-Encoding in trailers does not count", ChunkedPost("2\r\nok\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), "POST / ok"),
        Refused("§5.1", "a trailer with a space before the colon", ChunkedPost("2\r\nok\r\n0\r\nX-Trailer : 1\r\n\r\n") + Smuggled),
        Refused("§5", "a trailer without a colon", ChunkedPost("2\r\nok\r\n0\r\nX-Trailer\r\n\r\n") + Smuggled),
        Refused("§2.2", "a trailer with CR", ChunkedPost("2\r\nok\r\n0\r\nX-Trailer: a\rb\r\n\r\n") + Smuggled),
        Either("§2.2", "a trailer that ends with LF", ChunkedPost("2\r\nok\r\n0\r\nX-Trailer: a\n\r\n"), "POST / ok"),
        Refused("§7.1.2", "trailers of 64 KB", ChunkedPost($"2\r\nok\r\n0\r\nX-Trailer: {new string('a', 65_536)}\r\n\r\n"), 431, 400),
    ];

    private static Http1Case Ambiguous(string name, string bytes, string seen) => new("§6.3", name, bytes, new Reading(false), new Reading(false, seen));

    private static Http1Case Coding(string what, params string[] fields) =>
        Refused("§6.1", $"TE.TE, {what}", Post([.. fields, "Content-Length: 5"]) + "0\r\n\r\n" + Smuggled, _badCoding);

    /// <summary>The last coding is chunked, or LF ends a line (§2.2: MAY): with a length beside it that is refused, or chunked and then the end.</summary>
    private static Http1Case LastChunked(string what, params string[] fields) =>
        Coding(what, fields) with { Allowed = [new Reading(false), new Reading(false, "POST /")] };

    private static Http1Case Length(string what, params string[] fields) => Refused("§6.3", $"Content-Length, {what}", Post(fields) + "ok" + Smuggled);

    private static Http1Case BadChunk(string name, string body) => Refused("§7.1", name, ChunkedPost(body));
}
