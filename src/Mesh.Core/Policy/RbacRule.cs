using Mesh.Config;

namespace Mesh.Policy;

/// <summary>One policy compiled: one of its principals and one of its permissions match. Immutable and thread-safe.</summary>
internal sealed class RbacRule
{
    private readonly RbacNode _who;
    private readonly RbacNode _what;

    /// <param name="denies">Doubt then means yes; else no.</param>
    public RbacRule(RbacPolicy policy, bool denies)
    {
        Name = policy.Name;
        _who = RbacCompiler.Compile(new RbacCondition.AnyOf(policy.Principals), denies);
        _what = RbacCompiler.Compile(new RbacCondition.AnyOf(policy.Permissions), denies);
    }

    public string Name { get; }

    public bool NeedsHead => _who.NeedsHead || _what.NeedsHead;

    public bool Matches(in RbacRequest request) => _who.Matches(request) && _what.Matches(request);

    /// <summary>How much of it holds, 0–1.</summary>
    public double Score(in RbacRequest request) => (_who.Score(request) + _what.Score(request)) / 2;

    /// <summary>In words; only of a rule that does not match.</summary>
    public string FirstFailed(in RbacRequest request) => (_who.Matches(request) ? _what : _who).Failed(request);
}
