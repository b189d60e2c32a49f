namespace Mesh.ControlPlane.Api;

/// <summary>On an endpoint: parameters that it reads out of the query by itself, beside those of its handler.</summary>
internal sealed record TakesQuery(IReadOnlyList<string> Names);

internal static class TakesQueryExtensions
{
    /// <summary>Says which parameters a handler reads out of the query by itself.</summary>
    public static TBuilder Takes<TBuilder>(this TBuilder endpoint, params string[] names)
        where TBuilder : IEndpointConventionBuilder => endpoint.WithMetadata(new TakesQuery(names));
}
