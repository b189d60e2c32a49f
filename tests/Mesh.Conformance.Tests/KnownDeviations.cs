using Mesh.Conformance.Tests.Http1;
using Mesh.Conformance.Tests.Http2;
using Mesh.Conformance.Tests.Wire;

namespace Mesh.Conformance.Tests;

/// <param name="Outcome">What happens instead.</param>
/// <param name="Sometimes">Threads decide whether it does.</param>
internal sealed record KnownDeviation(Outcome Outcome, string Reason, bool Sometimes = false);

/// <param name="Reading">What the app gets to see instead.</param>
internal sealed record KnownReading(Reading Reading, string Reason);

/// <summary>Where Kestrel (ASP.NET Core 10.0) does not do what a MUST says, with what follows from it. Asserted to be still so; docs/conformance.md lists the same.</summary>
internal static class KnownDeviations
{
    private const string AnyFirstFrame = "Kestrel takes any first frame after the client's preface. Nothing follows from it: settings are at their defaults until SETTINGS come.";
    private const string Crash = "Kestrel's parser throws and the connection ends with INTERNAL_ERROR. Only the code is another.";
    private const string NamesUnchecked = "Kestrel checks names of HTTP/2 fields for upper case only, of HTTP/1 fields for spaces and tabs. Whoever writes them to HTTP/1 has to check them, or a field becomes two.";
    private const string SpaceAround = "Kestrel checks values for NUL, CR and LF only, and hands spaces and tabs around a value to the app.";
    private const string ConnectionField = "Kestrel refuses only 'connection' and 'te'. Whoever forwards has to drop the others.";

    private const string SignedLength = "Kestrel parses Content-Length as a signed number. What it counts is what was meant; whoever forwards has to write the number and not the text.";

    private static readonly Outcome _served = new(OutcomeKind.Answered, 200);
    private static readonly Outcome _alive = new(OutcomeKind.Alive);
    private static readonly Outcome _internalError = new(OutcomeKind.ConnectionError, (int)ErrorCode.InternalError);

    public static IReadOnlyDictionary<string, KnownDeviation> Http2 { get; } = new Dictionary<string, KnownDeviation>
    {
        ["§3.4 PING as the first frame"] = new(_alive, AnyFirstFrame),
        ["§3.4 HEADERS as the first frame"] = new(_served, AnyFirstFrame),
        ["§3.4 WINDOW_UPDATE as the first frame"] = new(_alive, AnyFirstFrame),
        ["§4.3 a header block that does not decompress"] = new(_internalError, Crash),
        ["7541 §6.1 index 0"] = new(_internalError, Crash),
        ["§6.2 padding over the priority's fields"] = new(_internalError, Crash),
        ["§5.1.1 an id below one that was used"] = new(new Outcome(OutcomeKind.ConnectionError, (int)ErrorCode.StreamClosed), "Kestrel takes a skipped id for one that is closed. Only the code is another."),
        ["§8.1.1 content-length, and trailers in place of DATA"] = new(new Outcome(OutcomeKind.ConnectionError, (int)ErrorCode.StreamClosed), "Kestrel may have given the stream up before it comes to the trailers. Only the code is another.", Sometimes: true),
        ["§9.1 a request and at once GOAWAY: the request is answered"] = new(new Outcome(OutcomeKind.Closed), "Kestrel may read both before the request has begun, and close.", Sometimes: true),
        ["§8.2.1 a field name that is empty"] = new(new Outcome(OutcomeKind.ConnectionError, (int)ErrorCode.CompressionError), "Kestrel's decompression refuses it. Only the code is another."),
        ["§8.2.1 a field name with a space"] = new(_served, NamesUnchecked),
        ["§8.2.1 a field name with a space at its end"] = new(_served, NamesUnchecked),
        ["§8.2.1 a field name with a tab"] = new(_served, NamesUnchecked),
        ["§8.2.1 a field name with CR LF"] = new(_served, NamesUnchecked),
        ["§8.2.1 a field name with DEL"] = new(_served, NamesUnchecked),
        ["§8.2.1 a field name with a colon within"] = new(_served, NamesUnchecked),
        ["§8.2.1 a field name with a quote, which is no token"] = new(_served, NamesUnchecked),
        ["§8.2.1 a field value that begins with a space"] = new(_served, SpaceAround),
        ["§8.2.1 a field value that ends with a space"] = new(_served, SpaceAround),
        ["§8.2.1 a field value that begins with a tab"] = new(_served, SpaceAround),
        ["§8.2.1 a field value that ends with a tab"] = new(_served, SpaceAround),
        ["§8.2.2 keep-alive: timeout=5"] = new(_served, ConnectionField),
        ["§8.2.2 proxy-connection: keep-alive"] = new(_served, ConnectionField),
        ["§8.2.2 transfer-encoding: chunked"] = new(_served, ConnectionField),
        ["§8.2.2 transfer-encoding: identity"] = new(_served, ConnectionField),
        ["§8.2.2 upgrade: websocket"] = new(_served, ConnectionField),
        ["§8.1 trailers with a connection-specific field"] = new(_served, ConnectionField),
        ["§8.3.1 :path with a space"] = new(_served, "Kestrel checks :path for a slash at its beginning and for octets that no target has, not for spaces. Whoever writes it to HTTP/1 has to escape or refuse it."),
        ["§8.5 CONNECT without :authority"] = new(_served, "Kestrel takes host in its place."),
        ["§8.1.1 a content-length with a sign"] = new(_served, SignedLength),
    };

    public static IReadOnlyDictionary<string, KnownReading> Http1 { get; } = new Dictionary<string, KnownReading>
    {
        ["§3 a CR within the request line"] = new(new Reading(true, "GET /\rx"), "Kestrel checks targets for NUL and octets above 0x7f only. Whoever forwards has to escape or refuse it."),
        ["§3.2.3 CONNECT with a path"] = new(new Reading(true, "CONNECT /"), "Kestrel takes any target with CONNECT, and the app decides."),
        ["§9.6 CONNECT with early data"] = new(new Reading(true, "CONNECT conformance.test:80", "GET /smuggled"), "Kestrel hands CONNECT to the app like any method: an app that answers 2xx without tunnelling has what follows read as requests."),
        ["§5.1 a name that is no token"] = new(new Reading(true, "GET /"), NamesUnchecked),
        ["§6.3 Content-Length, a sign"] = new(new Reading(true, "POST / ok", "GET /smuggled"), SignedLength),
        ["§6.1 chunked in HTTP/1.0: refused, or served and the end"] = new(new Reading(true, "POST / ok", "GET /smuggled"), "Kestrel goes on with the connection when the client asks for keep-alive. A front that hands on HTTP/1.0 with chunks would be needed to make use of it."),
    };

    /// <summary>Where the mesh takes another of the ways that the specification allows.</summary>
    public static IReadOnlyDictionary<string, string> BetweenTargets { get; } = new Dictionary<string, string>
    {
        ["§3.2.2 absolute-form with another Host: refused, or Host does not count"] = "Kestrel alone refuses it. The sidecar lets the target's host count, as the specification says, for names are the app's to judge.",
    };
}
