namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Something of a route that can't be done as it says, for its status.</summary>
/// <param name="Condition">Which it makes false: <see cref="Model.RouteCondition.Accepted"/> or <see cref="Model.RouteCondition.ResolvedRefs"/>.</param>
/// <param name="Reason">As Gateway API names them.</param>
/// <param name="Fails">The calls of its rule, or the backend's share of them, fail; else it has no effect and all others hold.</param>
internal sealed record RouteFinding(string Condition, string Reason, string Message, bool Fails)
{
    public const string UnsupportedValue = nameof(UnsupportedValue);
    public const string BackendNotFound = nameof(BackendNotFound);
    public const string InvalidKind = nameof(InvalidKind);
    public const string RefNotPermitted = nameof(RefNotPermitted);
    public const string UnsupportedProtocol = nameof(UnsupportedProtocol);

    /// <summary>The position of the rule; null where it is the whole route.</summary>
    public int? Rule { get; init; }
}
