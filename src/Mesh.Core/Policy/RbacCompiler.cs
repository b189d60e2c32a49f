using Mesh.Config;

namespace Mesh.Policy;

/// <summary>Makes what is asked of each request out of a condition.</summary>
internal static class RbacCompiler
{
    /// <param name="doubt">What doubt about the request means for this condition: true in rules that deny, false in rules that allow, swapped by every negation.</param>
    public static RbacNode Compile(RbacCondition condition, bool doubt) => condition switch
    {
        RbacCondition.Always => new RbacConstant(true),
        RbacCondition.AllOf { Conditions: [var one] } => Compile(one, doubt),
        RbacCondition.AllOf { Conditions: var all } => new RbacAll([.. all.Select(c => Compile(c, doubt))]),
        RbacCondition.AnyOf { Conditions: [var one] } => Compile(one, doubt),
        RbacCondition.AnyOf { Conditions: var any } => new RbacAny([.. any.Select(c => Compile(c, doubt))]),
        RbacCondition.Not { Condition: var not } => new RbacNot(Compile(not, !doubt)),
        RbacCondition.Header { Matcher: var header } => new RbacHeaderNode(header, doubt),
        RbacCondition.Path { Matcher: var path } => new RbacPathNode(path),
        RbacCondition.Source { Range: var range } => new RbacAddressNode(range, isSource: true),
        RbacCondition.Destination { Range: var range } => new RbacAddressNode(range, isSource: false),
        RbacCondition.DestinationPort { First: var first, Last: var last } => new RbacPortNode(first, last),
        RbacCondition.Authenticated { Name: var name } => new RbacCallerNode(name),
        RbacCondition.ServerName { Matcher: var name } => new RbacConstant(name.Matches(string.Empty)),
        RbacCondition.Metadata metadata => new RbacClaimNode(metadata, doubt),
        _ => throw new ArgumentException($"{condition.GetType().Name} is no condition that can be asked.", nameof(condition)),
    };
}
