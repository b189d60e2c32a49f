using Mesh.Spiffe;

namespace Mesh.ControlPlane.Sources.Files;

/// <summary>What an operator sets for the folder of manifests.</summary>
internal sealed record FileSourceOptions
{
    /// <summary>Read with everything below it.</summary>
    public required string Folder { get; init; }

    public required TrustDomain TrustDomain { get; init; }

    /// <summary>How long the folder must be quiet before a change is read: an editor writes in several steps.</summary>
    public TimeSpan Debounce { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>How often names, times and sizes are compared, for file systems that tell nothing.</summary>
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How often slices with <c>addressType: FQDN</c> are resolved (contracts §3).</summary>
    public TimeSpan ResolveInterval { get; init; } = TimeSpan.FromSeconds(5);
}
