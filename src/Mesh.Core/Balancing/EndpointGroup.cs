using Mesh.Balancing.Pickers;

namespace Mesh.Balancing;

/// <summary>Some endpoints, and how one of them is chosen. Thread-safe.</summary>
internal abstract class EndpointGroup
{
    /// <summary>Null when the request takes none of them.</summary>
    public abstract BalancedEndpoint? Pick(in PickRequest request);

    /// <summary>An attempt could not connect to the endpoint.</summary>
    public virtual void ConnectFailed(BalancedEndpoint endpoint)
    {
    }
}

/// <summary>All endpoints alike: one locality, or several whose weights say no more than their sizes do.</summary>
internal sealed class FlatGroup(BalancedEndpoint[] endpoints, Picker picker) : EndpointGroup
{
    public override BalancedEndpoint? Pick(in PickRequest request)
    {
        var candidates = request.Among(endpoints);
        return candidates.Count == 0 ? null : picker.Pick(candidates, request.Random);
    }
}

/// <summary>First a locality by its weight, then an endpoint of it (gRFC A27). A locality whose endpoints were all tried does not count.</summary>
internal sealed class LocalityGroup((BalancedEndpoint[] Endpoints, int Weight, Picker Picker)[] localities) : EndpointGroup
{
    public override BalancedEndpoint? Pick(in PickRequest request)
    {
        long total = 0;
        foreach (var (endpoints, weight, _) in localities)
        {
            total += HasUntried(endpoints, request) ? weight : 0;
        }

        if (total == 0)
        {
            return null;
        }

        var point = request.Random.NextInt64(total);
        foreach (var (endpoints, weight, picker) in localities)
        {
            if (!HasUntried(endpoints, request))
            {
                continue;
            }

            point -= weight;
            if (point < 0)
            {
                return picker.Pick(request.Among(endpoints), request.Random);
            }
        }

        return null;
    }

    private static bool HasUntried(BalancedEndpoint[] endpoints, in PickRequest request)
    {
        if (!request.HasTried)
        {
            return true;
        }

        foreach (var endpoint in endpoints)
        {
            if (!request.Tried.Contains(endpoint))
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>Parts at growing distance from the caller: each takes its share, and passes on what would pile up on it.</summary>
/// <remarks>
/// The share follows health (<see cref="LoadShares"/>). Load is looked at per call and without memory: when the endpoint that a part offers has more than twice as many calls of ours
/// in flight as the one that the next part offers, and ten more, the next one takes the call. In-flight counts grow with rate and with latency, so a near zone that is too small
/// or slow spills as much as it must, and not when it is merely busy.
/// </remarks>
/// <param name="parts">Nearest first; at least one.</param>
/// <param name="spilled">Told when load moved a call on.</param>
internal sealed class NearGroup((EndpointGroup Group, double UpTo)[] parts, Action<long> spilled) : EndpointGroup
{
    /// <summary>Calls in flight that an endpoint may have beyond <see cref="Factor"/> times those of one further away.</summary>
    public const int Slack = 10;

    public const int Factor = 2;

    public override BalancedEndpoint? Pick(in PickRequest request)
    {
        var at = 0;
        if (parts[0].UpTo < 1)
        {
            var point = request.Random.NextDouble();
            while (at < parts.Length - 1 && point >= parts[at].UpTo)
            {
                at++;
            }
        }

        var picked = parts[at].Group.Pick(request);
        for (var further = at + 1; further < parts.Length && (picked is null || picked.InFlight > Slack); further++)
        {
            if (parts[further].Group.Pick(request) is not { } other)
            {
                continue;
            }

            if (picked is not null)
            {
                if (picked.InFlight <= (Factor * other.InFlight) + Slack)
                {
                    break;
                }

                spilled(request.Now);
            }

            picked = other;
        }

        // Whoever is near was tried: any other one.
        for (var i = 0; picked is null && i < at; i++)
        {
            picked = parts[i].Group.Pick(request);
        }

        return picked;
    }
}
