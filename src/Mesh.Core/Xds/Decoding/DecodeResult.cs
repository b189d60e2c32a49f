using Mesh.Config;

namespace Mesh.Xds.Decoding;

/// <summary>A decoded resource, or every error found in it.</summary>
/// <param name="Name">The resource's own name; null when the bytes could not even be parsed.</param>
/// <param name="Model">A record of <c>Mesh.Config</c>; null when there are errors.</param>
/// <param name="Errors">Empty for a valid resource.</param>
internal sealed record DecodeResult(string? Name, object? Model, IReadOnlyList<ConfigError> Errors)
{
    public bool IsValid => Model is not null;
}
