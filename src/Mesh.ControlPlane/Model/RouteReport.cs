using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model;

/// <summary>What became of a route of any kind, at each Service that it wants to be attached to: its status, whatever writes it.</summary>
/// <param name="Kind">Such as <c>HTTPRoute</c>.</param>
/// <param name="Where">File and line, or kind and name.</param>
/// <param name="Parents">Those of kind Service.</param>
internal sealed record RouteReport(string Kind, ServiceName Name, string Where, ImmutableArray<ParentReport> Parents)
{
    /// <summary>Null: it is no object of a cluster.</summary>
    public ObjectOrigin? Origin { get; init; }
}

/// <param name="Namespace">As written; null where the route does not say it.</param>
internal sealed record ParentReport(string? Namespace, string Name, int? Port, string? SectionName, ImmutableArray<RouteCondition> Conditions);

/// <param name="Reason">As Gateway API names them.</param>
/// <param name="Message">For people.</param>
internal sealed record RouteCondition(string Type, bool Status, string Reason, string Message)
{
    public const string Accepted = "Accepted";
    public const string ResolvedRefs = "ResolvedRefs";

    /// <summary>Some rules hold and some can't; absent where all hold, and where none does.</summary>
    public const string PartiallyInvalid = "PartiallyInvalid";

    /// <summary>Null: the newest. Of what is said of the last good version its own.</summary>
    public long? Generation { get; init; }
}
