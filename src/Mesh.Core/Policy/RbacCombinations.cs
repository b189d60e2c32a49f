namespace Mesh.Policy;

/// <summary>All parts hold.</summary>
internal sealed class RbacAll(RbacNode[] parts) : RbacNode
{
    public override bool NeedsHead { get; } = parts.Any(p => p.NeedsHead);

    public override bool Matches(in RbacRequest request)
    {
        foreach (var part in parts)
        {
            if (!part.Matches(request))
            {
                return false;
            }
        }

        return true;
    }

    public override double Score(in RbacRequest request)
    {
        if (Matches(request))
        {
            return 1;
        }

        var sum = 0.0;
        foreach (var part in parts)
        {
            sum += part.Score(request);
        }

        return sum / parts.Length;
    }

    public override string Failed(in RbacRequest request)
    {
        foreach (var part in parts)
        {
            if (!part.Matches(request))
            {
                return part.Failed(request);
            }
        }

        return "nothing";
    }
}

/// <summary>One of the parts holds.</summary>
internal sealed class RbacAny(RbacNode[] parts) : RbacNode
{
    /// <summary>Alternatives that are named.</summary>
    private const int Named = 3;

    private readonly bool _isOneSubject = parts.All(p => p is RbacLeaf) && parts.Select(p => ((RbacLeaf)p).Subject).Distinct(StringComparer.Ordinal).Count() == 1;

    public override bool NeedsHead { get; } = parts.Any(p => p.NeedsHead);

    public override bool Matches(in RbacRequest request)
    {
        foreach (var part in parts)
        {
            if (part.Matches(request))
            {
                return true;
            }
        }

        return false;
    }

    public override double Score(in RbacRequest request)
    {
        var best = 0.0;
        foreach (var part in parts)
        {
            best = Math.Max(best, part.Score(request));
        }

        return best;
    }

    public override string Failed(in RbacRequest request)
    {
        if (parts.Length == 0)
        {
            return "it takes nothing";
        }

        if (_isOneSubject)
        {
            var wishes = string.Join(" or ", parts.Take(Named).Select(p => ((RbacLeaf)p).Wish));
            return $"{((RbacLeaf)parts[0]).Seen(request)}, wants {wishes}{(parts.Length > Named ? $" or {parts.Length - Named} others" : string.Empty)}";
        }

        var (nearest, best) = (parts[0], -1.0);
        foreach (var part in parts)
        {
            var score = part.Score(request);
            if (score > best)
            {
                (nearest, best) = (part, score);
            }
        }

        return nearest.Failed(request);
    }
}

/// <summary>The part does not hold.</summary>
internal sealed class RbacNot(RbacNode part) : RbacNode
{
    public override bool NeedsHead => part.NeedsHead;

    public override bool Matches(in RbacRequest request) => !part.Matches(request);

    public override double Score(in RbacRequest request) => Matches(request) ? 1 : 0;

    public override string Failed(in RbacRequest request) =>
        part is RbacLeaf leaf ? $"{leaf.Seen(request)}, wants anything but {leaf.Wish}" : "what the rule excludes is the case";
}

/// <summary>Holds always, or never.</summary>
internal sealed class RbacConstant(bool holds) : RbacNode
{
    public override bool NeedsHead => false;

    public override bool Matches(in RbacRequest request) => holds;

    public override double Score(in RbacRequest request) => holds ? 1 : 0;

    public override string Failed(in RbacRequest request) => "it asks for a TLS server name, and none is known here";
}
