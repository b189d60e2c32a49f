namespace Mesh.Transparent.Forwarding;

/// <summary>What was carried of a request's bodies; a feature of requests that somebody wants to know it of.</summary>
internal sealed class ForwardedBytes
{
    public long Request { get; set; }

    public long Response { get; set; }

    /// <summary>From the moment when the request was given on to its answer's headers.</summary>
    public TimeSpan InApp { get; set; }
}
