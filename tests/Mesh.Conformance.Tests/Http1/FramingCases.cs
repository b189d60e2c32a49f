using static Mesh.Conformance.Tests.Http1.Heads;
using static Mesh.Conformance.Tests.Http1.Http1Case;

namespace Mesh.Conformance.Tests.Http1;

/// <summary>RFC 9112 §2–5, §9: request lines, hosts, fields, connections.</summary>
internal static class FramingCases
{
    private static readonly int[] _badVersion = [400, 505];

    public static IEnumerable<Http1Case> All => [.. Lines, .. Targets, .. Hosts, .. Fields, .. Connections, .. Limits];

    private static IEnumerable<Http1Case> Lines =>
    [
        Either("§2.2", "an empty line before the request", "\r\n" + Get(), "GET /"),
        Either("§2.2", "lines that end with LF", "GET / HTTP/1.1\nHost: conformance.test\n\n", "GET /"),
        Refused("§2.2", "a line that ends with CR", $"GET / HTTP/1.1\rHost: conformance.test\r\r"),
        Refused("§2.2", "a space before the first field", "GET / HTTP/1.1\r\n Host: conformance.test\r\n\r\n"),
        Refused("§2.2", "a space before a first field that changes the request", $"POST / HTTP/1.1\r\n {Chunked}\r\n{Host}\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
        Refused("§3", "a CR within the request line", Head("GET /\rx HTTP/1.1", Host), 400, 501),
        Refused("§3", "NUL within the request line", Head("GET /\0 HTTP/1.1", Host)),
        Refused("§3", "no target", Head("GET HTTP/1.1", Host)),
        Refused("§3", "no version", Head("GET /", Host)),
        Refused("§3", "a space before the method", Head(" GET / HTTP/1.1", Host)),
        Refused("§3", "two spaces before the target", Head("GET  / HTTP/1.1", Host)),
        Refused("§3", "a space within the target", Head("GET /a b HTTP/1.1", Host)),
        Refused("§3", "a tab in place of a space", Head("GET\t/\tHTTP/1.1", Host)),
        Either("§3", "a space after the version", Head("GET / HTTP/1.1 ", Host), "GET /"),
        Refused("§3.1", "a method that is no token", Head("GE(T / HTTP/1.1", Host)),
        Refused("§3.1", "no method", Head("/ HTTP/1.1", Host)),
        Either("§3.1", "methods differ by case: another method, or not implemented", Head("get / HTTP/1.1", Host), "get /") with { Statuses = [501] },
        Refused("§2.3", "HTTP/2.0 in text", Head("GET / HTTP/2.0", Host), _badVersion),
        Refused("§2.3", "HTTP/0.9", "GET /\r\n", _badVersion),
        Refused("§2.3", "a version in lower case", Head("GET / http/1.1", Host), _badVersion),
        Refused("§2.3", "a version of two digits", Head("GET / HTTP/1.10", Host), _badVersion),
        Refused("§2.3", "a version without a dot", Head("GET / HTTP/11", Host), _badVersion),
        Either("§2.3", "a minor version that is not known", Head("GET / HTTP/1.2", Host), "GET /") with { Statuses = _badVersion },
    ];

    private static IEnumerable<Http1Case> Targets =>
    [
        Served("§3.2.1", "a query", Head("GET /a?b=c&d=/../e HTTP/1.1", Host), "GET /a?b=c&d=/../e"),
        new("§3.2.2", "absolute-form with the same Host", Head("GET http://conformance.test/a HTTP/1.1", Host), new Reading(true, "GET http://conformance.test/a"), new Reading(true, "GET /a")),
        new("§3.2.2", "absolute-form with another Host: refused, or Host does not count", Head("GET http://conformance.test/a HTTP/1.1", "Host: other.test"),
            new Reading(false), new Reading(true, "GET http://conformance.test/a"), new Reading(true, "GET /a")),
        Refused("§3.2.2", "absolute-form without Host", Head("GET http://conformance.test/a HTTP/1.1")),
        Refused("§3.2.3", "authority-form with GET", Head("GET conformance.test:80 HTTP/1.1", Host), 400, 405),
        Refused("§3.2.3", "CONNECT with a path", Head("CONNECT / HTTP/1.1", Host), 400, 405),
        Refused("§3.2.4", "* with GET", Head("GET * HTTP/1.1", Host), 400, 405),
        Either("§3.2.4", "* with OPTIONS: served, or not implemented", Head("OPTIONS * HTTP/1.1", Host), "OPTIONS *") with { Statuses = [501] },
        Refused("§3.2", "a target that is no form at all", Head("GET admin HTTP/1.1", Host), 400, 405),
        Refused("§3.2", "an octet above 0x7f in the target", Head("GET /\u00e4 HTTP/1.1", Host)),
    ];

    private static IEnumerable<Http1Case> Hosts =>
    [
        Refused("§3.2", "no Host", Head("GET / HTTP/1.1")),
        Refused("§3.2", "two Hosts", Head("GET / HTTP/1.1", Host, "Host: other.test")),
        Refused("§3.2", "two equal Hosts", Head("GET / HTTP/1.1", Host, Host)),
        Refused("§3.2", "Host with a space", Head("GET / HTTP/1.1", "Host: conformance.test other.test")),
        Refused("§3.2", "Host with a list", Head("GET / HTTP/1.1", "Host: conformance.test, other.test")),
        Refused("§3.2", "Host with a path", Head("GET / HTTP/1.1", "Host: conformance.test/x")),
        Refused("§3.2", "Host with userinfo", Head("GET / HTTP/1.1", "Host: user@conformance.test")),
        Refused("§3.2", "Host with a port that is no number", Head("GET / HTTP/1.1", "Host: conformance.test:8o")),
        Refused("§5.1", "Host with a space before the colon", Head("GET / HTTP/1.1", "Host : conformance.test")),
        Served("§3.2", "Host with a port", Head("GET / HTTP/1.1", "Host: conformance.test:8080"), "GET /"),
        new("§3.2", "HTTP/1.0 needs no Host", "GET / HTTP/1.0\r\n\r\n", new Reading(false, "GET /")),
    ];

    private static IEnumerable<Http1Case> Fields =>
    [
        Refused("§5.1", "a space before a colon", Get("X-Value : 1")),
        Refused("§5.1", "a tab before a colon", Get("X-Value\t: 1")),
        Refused("§5", "a field without a colon", Get("X-Value")),
        Refused("§5", "a field without a name", Get(": 1")),
        Refused("§5.1", "a name with a space", Get("X Value: 1")),
        Refused("§5.1", "a name that is no token", Get("X(Value): 1")),
        Refused("§5.1", "a name with NUL", Get("X\0Value: 1")),
        Refused("§5.1", "a name with an octet above 0x7f", Get("X\u00e4Value: 1")),
        Either("§5.2", "a value over two lines: refused, or one value", Get("X-Value: 1\r\n 2"), "GET /"),
        Either("§5.2", "a value over two lines that hides a field", Get($"X-Value: 1\r\n {Chunked}"), "GET /"),
        Refused("§5.5", "a value with NUL", Get("X-Value: a\0b")),
        Refused("§2.2", "a value with CR", Get("X-Value: a\rb")),
        Refused("§2.2", "a value with CR and a field", Get($"X-Value: a\r{Chunked}")),
        Either("§2.2", "a value with LF and a field", Get("X-Value: a\nX-Other: b"), "GET /"),
        Served("§5.1", "spaces and tabs around a value", Get("X-Value: \t a \t "), "GET /"),
        Served("§5.1", "no space after a colon", Get("X-Value:a"), "GET /"),
        Served("§5.1", "an empty value", Get("X-Value:"), "GET /"),
        Served("§5.1", "a field many times", Get("X-Value: a", "X-Value: b", "x-value: c"), "GET /"),
    ];

    private static IEnumerable<Http1Case> Connections =>
    [
        Served("§9.3.2", "three requests at once", Get() + Post("Content-Length: 2") + "ok" + Get(), "GET /", "POST / ok", "GET /"),
        ServedLast("§9.6", "nothing is served after Connection: close", Get("Connection: close") + Smuggled, "GET /"),
        ServedLast("§9.6", "nothing is served after a bad request", Get() + "BAD\r\n\r\n" + Smuggled, "GET /"),
        ServedLast("§9.3", "HTTP/1.0 ends after one request", "GET / HTTP/1.0\r\nHost: conformance.test\r\n\r\n" + Smuggled, "GET /"),
        Served("§9.3", "Connection: close in another field is none", Get("X-Connection: close"), "GET /"),
        Served("RFC 9110 §7.8", "an upgrade that is not known is ignored", Get("Connection: Upgrade", "Upgrade: example/1"), "GET /"),
        Served("RFC 9113 §3.1", "Upgrade: h2c is ignored", Get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), "GET /"),
        Served("RFC 9110 §10.1.1", "Expect: 100-continue with the body at once", Post("Expect: 100-continue", "Content-Length: 2") + "ok", "POST / ok"),
    ];

    private static IEnumerable<Http1Case> Limits =>
    [
        Refused("§3", "a request line of 64 KB", Head($"GET /{new string('a', 65_536)} HTTP/1.1", Host), 414, 400, 431),
        Refused("§5", "a field of 64 KB", Get($"X-Value: {new string('a', 65_536)}"), 431, 400),
        Refused("§5", "a thousand fields", Get([.. Enumerable.Range(0, 1000).Select(i => $"X-{i}: 1")]), 431, 400),
        Refused("§5", "a name of 64 KB", Get($"X-{new string('a', 65_536)}: 1"), 431, 400),
    ];
}
