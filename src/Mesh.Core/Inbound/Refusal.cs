using Mesh.Telemetry;

namespace Mesh.Inbound;

/// <summary>Why the receiving side turns a request away before the app, and what it answers: the one place where that becomes a status.</summary>
/// <param name="Code">For the header <c>mesh-error</c>.</param>
/// <param name="HttpStatus">429 or 503.</param>
/// <param name="Decision">One of <see cref="Decisions"/>.</param>
/// <param name="Reason">For metrics, span and log: a word, or the name of a limit.</param>
/// <param name="RetryAfter">More than zero.</param>
/// <param name="Message">For people.</param>
internal sealed record Refusal(string Code, int HttpStatus, string Decision, string Reason, TimeSpan RetryAfter, string Message)
{
    /// <summary>gRPC RESOURCE_EXHAUSTED.</summary>
    public const int GrpcStatus = 8;

    /// <summary><see cref="Code"/> of a request that found no place.</summary>
    public const string OverloadedCode = "Overloaded";

    /// <summary>As many wait as may.</summary>
    public static Refusal QueueFull { get; } = Overloaded("concurrency");

    /// <summary>It waited as long as may be.</summary>
    public static Refusal QueueTimeout { get; } = Overloaded("queue_timeout");

    /// <summary>The time of a rate limit is its caller's own; that of an overload is a guess, and clients are not held to it.</summary>
    public bool IsRateLimit => Decision == Decisions.RateLimit;

    /// <summary>Whole seconds, rounded up (RFC 9110 §10.2.3).</summary>
    public long RetryAfterSeconds => Math.Max(1, (RetryAfter.Ticks + TimeSpan.TicksPerSecond - 1) / TimeSpan.TicksPerSecond);

    /// <summary>Rounded up (gRFC A6).</summary>
    public long RetryAfterMilliseconds => Math.Max(1, (RetryAfter.Ticks + TimeSpan.TicksPerMillisecond - 1) / TimeSpan.TicksPerMillisecond);

    public static Refusal RateLimited(string name, TimeSpan retryAfter) =>
        new("RateLimited", 429, Decisions.RateLimit, name, retryAfter, $"mesh: rate limit '{name}' is reached");

    private static Refusal Overloaded(string reason) =>
        new(OverloadedCode, 503, Decisions.Shed, reason, TimeSpan.FromSeconds(1), "mesh: this server has as many requests as it takes");
}
