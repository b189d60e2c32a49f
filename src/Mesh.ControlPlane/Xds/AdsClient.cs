using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Xds;

/// <summary>One ADS stream, as the API shows it.</summary>
internal sealed record AdsClient(
    NodeContext Node, string Address, DateTimeOffset ConnectedSince, string Variant, long Acks, long Nacks, string? LastNack, IReadOnlyList<AdsClientType> Types)
{
    /// <summary>How long it has not acknowledged what is current; 0 when it has.</summary>
    public double StaleSeconds { get; init; }

    /// <summary>From sending its last acknowledged answer to the acknowledgement; null before the first.</summary>
    public double? PushMs { get; init; }
}

/// <param name="Status"><c>sent</c>, <c>acked</c> or <c>nacked</c>.</param>
internal sealed record AdsClientType(string TypeUrl, string VersionSent, string VersionAcked, string Status, IReadOnlyList<AdsClientResource> Resources)
{
    /// <summary>Why it refused what was sent last; null when it did not.</summary>
    public string? LastNack { get; init; }
}

/// <param name="Answer">Null when nothing was said about it yet.</param>
internal sealed record AdsClientResource(string Name, Answer? Answer);
