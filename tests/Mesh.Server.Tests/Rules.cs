using Mesh.Config;
using Mesh.Traffic;

namespace Mesh.Server.Tests;

/// <summary>Access rules in few words.</summary>
internal static class Rules
{
    public static RbacCondition Any { get; } = new RbacCondition.Always();

    public static RbacCondition Web { get; } = new RbacCondition.Authenticated(new StringMatcher(StringMatchKind.Exact, "spiffe://cluster.local/ns/shop/sa/web"));

    public static RbacCondition Path(string path) => new RbacCondition.Path(new StringMatcher(StringMatchKind.Exact, path));

    public static RbacCondition Header(string name, string value) => new RbacCondition.Header(new HeaderMatcher(name, HeaderMatchKind.Text, new StringMatcher(StringMatchKind.Exact, value)));

    public static RbacCondition From(string address, uint length) =>
        AddressRange.TryCreate(address, length, out var range) ? new RbacCondition.Source(range) : throw new FormatException(address);

    public static RbacPolicy Rule(string name, RbacCondition what, RbacCondition who) => new(name, [what], [who]);

    public static RbacFilter Deny(params RbacPolicy[] policies) => new(new RbacRules(RbacAction.Deny, policies), null);

    public static RbacFilter Allow(params RbacPolicy[] policies) => new(new RbacRules(RbacAction.Allow, policies), null);

    public static HttpConnectionManager Http(params HttpFilterSettings[] filters) => new(null, null, null) { Filters = [.. filters.Select((f, i) => new HttpFilter($"filter-{i}", f))] };
}
