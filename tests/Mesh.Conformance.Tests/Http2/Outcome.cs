using Mesh.Conformance.Tests.Wire;

namespace Mesh.Conformance.Tests.Http2;

/// <summary>From mild to strict.</summary>
internal enum OutcomeKind
{
    /// <summary>Neither an answer nor an error within <see cref="Patience.Limit"/>.</summary>
    Silent,

    /// <summary>The connection goes on; no stream was watched.</summary>
    Alive,

    /// <summary>An HTTP answer.</summary>
    Answered,

    /// <summary>RST_STREAM on the watched stream.</summary>
    StreamError,

    /// <summary>GOAWAY with an error, and then the end of the connection.</summary>
    ConnectionError,

    /// <summary>The end of the connection without a word.</summary>
    Closed,
}

/// <param name="Code">The error's code, or the answer's status.</param>
internal readonly record struct Outcome(OutcomeKind Kind, int Code = 0)
{
    public override string ToString() => Kind switch
    {
        OutcomeKind.Answered => $"{Code}",
        OutcomeKind.StreamError or OutcomeKind.ConnectionError => $"{Kind}({(ErrorCode)Code})",
        _ => $"{Kind}",
    };

    /// <summary>How little is let through: an answer of 4xx or 5xx is as strict as a stream error (RFC 9113 §8.1.1), a connection's end is a connection's end.</summary>
    public int Strictness => Kind switch
    {
        OutcomeKind.Silent => -1,
        OutcomeKind.Alive => 0,
        OutcomeKind.Answered => Code < 400 ? 0 : 1,
        OutcomeKind.StreamError => 1,
        _ => 2,
    };
}

/// <summary>What a specification allows.</summary>
internal sealed record Allowed(params Outcome[] Outcomes)
{
    /// <summary>The connection goes on and nothing else happens.</summary>
    public static Allowed Alive { get; } = new(new Outcome(OutcomeKind.Alive));

    public static Allowed Served { get; } = Status(200);

    /// <summary>RFC 9113 §8.1.1: a stream error PROTOCOL_ERROR; an answer before it is allowed, so is ending the connection (§5.4.1).</summary>
    public static Allowed Malformed { get; } = Stream(ErrorCode.ProtocolError) | Status(400);

    public static Allowed Status(params int[] statuses) => new([.. statuses.Select(s => new Outcome(OutcomeKind.Answered, s))]);

    /// <summary>GOAWAY with one of these codes; to close without it is allowed (RFC 9113 §5.4.1: SHOULD).</summary>
    public static Allowed Connection(params ErrorCode[] codes) =>
        new([.. codes.Select(c => new Outcome(OutcomeKind.ConnectionError, (int)c)), new Outcome(OutcomeKind.Closed)]);

    /// <summary>RST_STREAM with one of these codes, or the same as a connection error (RFC 9113 §5.4.1: MAY).</summary>
    public static Allowed Stream(params ErrorCode[] codes) => new Allowed([.. codes.Select(c => new Outcome(OutcomeKind.StreamError, (int)c))]) | Connection(codes);

    public static Allowed operator |(Allowed one, Allowed other) => new([.. one.Outcomes, .. other.Outcomes]);

    public bool Contains(Outcome outcome) => Outcomes.Contains(outcome);

    public override string ToString() => string.Join(" or ", Outcomes);
}
