using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Xds;

/// <summary>One ADS stream, as the API shows it.</summary>
internal sealed record AdsClient(
    NodeContext Node, string Address, DateTimeOffset ConnectedSince, string Variant, long Acks, long Nacks, string? LastNack, IReadOnlyList<AdsClientType> Types);

/// <param name="Status"><c>sent</c>, <c>acked</c> or <c>nacked</c>.</param>
internal sealed record AdsClientType(string TypeUrl, string VersionSent, string VersionAcked, string Status, IReadOnlyList<AdsClientResource> Resources);

/// <param name="Answer">Null when nothing was said about it yet.</param>
internal sealed record AdsClientResource(string Name, Answer? Answer);
