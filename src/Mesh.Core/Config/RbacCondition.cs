using Mesh.Traffic;

namespace Mesh.Config;

/// <summary>One condition of a permission or principal: a tree.</summary>
internal abstract record RbacCondition
{
    /// <summary>What the request says decides, not only who sends it and where to.</summary>
    public virtual bool LooksAtRequest => false;

    /// <summary>Always holds.</summary>
    internal sealed record Always : RbacCondition;

    internal sealed record AllOf(IReadOnlyList<RbacCondition> Conditions) : RbacCondition
    {
        public override bool LooksAtRequest => Conditions.Any(c => c.LooksAtRequest);
    }

    internal sealed record AnyOf(IReadOnlyList<RbacCondition> Conditions) : RbacCondition
    {
        public override bool LooksAtRequest => Conditions.Any(c => c.LooksAtRequest);
    }

    internal sealed record Not(RbacCondition Condition) : RbacCondition
    {
        public override bool LooksAtRequest => Condition.LooksAtRequest;
    }

    /// <summary><c>:method</c>, <c>:path</c> and <c>:authority</c> are headers here; <c>host</c> is <c>:authority</c>, and <c>te</c> is never seen.</summary>
    internal sealed record Header(HeaderMatcher Matcher) : RbacCondition
    {
        public override bool LooksAtRequest => true;
    }

    /// <summary>Of the path without query.</summary>
    internal sealed record Path(StringMatcher Matcher) : RbacCondition
    {
        public override bool LooksAtRequest => true;
    }

    /// <summary>Of the address that the connection comes from.</summary>
    internal sealed record Source(AddressRange Range) : RbacCondition;

    /// <summary>Of the address that the connection came to.</summary>
    internal sealed record Destination(AddressRange Range) : RbacCondition;

    /// <param name="First">The first port inside.</param>
    /// <param name="Last">The last port inside.</param>
    internal sealed record DestinationPort(int First, int Last) : RbacCondition;

    /// <summary>The connection is mesh TLS.</summary>
    /// <param name="Name">And one of the caller's names matches; null is any caller.</param>
    internal sealed record Authenticated(StringMatcher? Name) : RbacCondition;

    /// <summary>Of the name that TLS asks for; none is ever known here, so it is compared with the empty text (gRFC A41).</summary>
    internal sealed record ServerName(StringMatcher Matcher) : RbacCondition;

    /// <summary>Of what a filter before found out of the request, such as the claims of a verified token.</summary>
    /// <param name="Filter">Who wrote it.</param>
    /// <param name="Segments">The keys that lead to the value, at least one.</param>
    internal sealed record Metadata(string Filter, IReadOnlyList<string> Segments, ValueMatcher Value, bool Invert) : RbacCondition;
}

/// <summary>What is asked of a value in metadata. One that is missing matches nothing.</summary>
internal abstract record ValueMatcher
{
    internal sealed record Text(StringMatcher Matcher) : ValueMatcher;

    internal sealed record Boolean(bool Value) : ValueMatcher;

    /// <summary>It is there and not null.</summary>
    internal sealed record Present : ValueMatcher;

    /// <summary>It is a list and one of its elements matches.</summary>
    internal sealed record OneOf(ValueMatcher Element) : ValueMatcher;

    internal sealed record AnyOf(IReadOnlyList<ValueMatcher> Matchers) : ValueMatcher;
}
