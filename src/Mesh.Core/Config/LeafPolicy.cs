namespace Mesh.Config;

/// <summary>What the control plane asks of every leaf certificate.</summary>
/// <param name="IssuedAfter">A leaf older than this is renewed at once.</param>
internal sealed record LeafPolicy(DateTimeOffset IssuedAfter);
