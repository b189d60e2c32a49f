using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What MatchPolicy says.</summary>
internal static class MatchSettings
{
    /// <summary>Any of them; empty is everybody.</summary>
    public static readonly Setting<ImmutableArray<Caller>> Callers =
        new("match.callers", [], callers => callers.IsEmpty ? "everybody" : Shown.List(callers, c => c.ToString())) { Matters = s => s.IsSet(Callers!) };

    /// <summary>Such as <c>/users/{id}</c>; empty is every path.</summary>
    public static readonly Setting<string> PathTemplate = new("match.pathTemplate", string.Empty, t => t) { Matters = s => s.IsSet(PathTemplate!) };

    public static readonly ImmutableArray<Setting> All = [Callers, PathTemplate];
}

/// <summary>Who calls.</summary>
/// <param name="ServiceAccount">Null is every one of the namespace.</param>
internal sealed record Caller(string Namespace, string? ServiceAccount)
{
    public bool Is(string ns, string account) => ns == Namespace && (ServiceAccount is null || account == ServiceAccount);

    public override string ToString() => $"{Namespace}/{ServiceAccount ?? "*"}";
}
