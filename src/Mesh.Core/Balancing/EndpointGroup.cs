using Mesh.Balancing.Pickers;

namespace Mesh.Balancing;

/// <summary>The healthy endpoints of one priority, and how one of them is chosen. Thread-safe.</summary>
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

/// <summary>First a locality by its weight, then an endpoint of it (gRFC A27). A locality without a usable endpoint does not count.</summary>
internal sealed class LocalityGroup((BalancedEndpoint[] Endpoints, int Weight, Picker Picker)[] localities) : EndpointGroup
{
    public override BalancedEndpoint? Pick(in PickRequest request)
    {
        long total = 0;
        foreach (var (endpoints, weight, _) in localities)
        {
            total += Usable(endpoints, request) ? weight : 0;
        }

        if (total == 0)
        {
            return null;
        }

        var point = request.Random.NextInt64(total);
        var chosen = -1;
        for (var i = 0; i < localities.Length && point >= 0; i++)
        {
            if (Usable(localities[i].Endpoints, request))
            {
                point -= localities[i].Weight;
                chosen = i;
            }
        }

        // None, when another thread ejected the last one meanwhile: the caller then asks for less.
        if (chosen < 0 || request.Among(localities[chosen].Endpoints) is not { Count: > 0 } candidates)
        {
            return null;
        }

        return localities[chosen].Picker.Pick(candidates, request.Random);
    }

    private static bool Usable(BalancedEndpoint[] endpoints, in PickRequest request)
    {
        foreach (var endpoint in endpoints)
        {
            if (request.Takes(endpoint))
            {
                return true;
            }
        }

        return false;
    }
}
