namespace Mesh.Policy;

/// <summary>One compiled condition. Immutable and thread-safe; matching allocates nothing.</summary>
internal abstract class RbacNode
{
    /// <summary>The request must be looked at, not only its connection.</summary>
    public abstract bool NeedsHead { get; }

    public abstract bool Matches(in RbacRequest request);

    /// <summary>How much of it holds, 0–1; 1 exactly when it matches.</summary>
    public abstract double Score(in RbacRequest request);

    /// <summary>The first part that does not hold, in words with the value seen; only where it does not match.</summary>
    public abstract string Failed(in RbacRequest request);
}

/// <summary>A condition without parts.</summary>
internal abstract class RbacLeaf : RbacNode
{
    /// <summary>Leaves with the same subject can be told together: "method is 'PUT', wants 'GET' or 'HEAD'".</summary>
    public abstract string Subject { get; }

    /// <summary>What it asks for, as it stands behind "wants".</summary>
    public abstract string Wish { get; }

    /// <summary>The subject with its value, as a sentence's beginning: "method is 'PUT'".</summary>
    public abstract string Seen(in RbacRequest request);

    public sealed override double Score(in RbacRequest request) => Matches(request) ? 1 : 0;

    public sealed override string Failed(in RbacRequest request) => $"{Seen(request)}, wants {Wish}";
}
