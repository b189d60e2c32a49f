using System.Net;
using Mesh.Inbound;

namespace Mesh.Transparent.Inbound;

/// <summary>The app's addresses that were called, each with its policy: asked for when it is called first, given up when it has not been for long. Thread-safe.</summary>
internal sealed class InboundPlaces(InboundTable table, TimeProvider time)
{
    /// <summary>More are not in use at a time: an app has a handful.</summary>
    public const int Max = 256;

    private readonly Lock _lock = new();
    private readonly Dictionary<IPEndPoint, Place> _places = [];

    /// <summary>Null when as many are in use as can be.</summary>
    public InboundPlace? Enter(IPEndPoint destination)
    {
        Place? evicted = null;
        Place? place;
        lock (_lock)
        {
            if (!_places.TryGetValue(destination, out place))
            {
                if (_places.Count >= Max && (evicted = LongestUnusedLocked()) is null)
                {
                    return null;
                }

                if (evicted is not null)
                {
                    _places.Remove(evicted.Endpoint);
                }

                // Opened under the lock: two that come at once share it.
                _places[destination] = place = new Place(destination, table.Open(destination));
            }

            place.Uses++;
        }

        if (evicted is not null)
        {
            table.Close(evicted.Address);
        }

        return new InboundPlace(this, place);
    }

    /// <summary>Keeps it for good: it is one of those that the operator named.</summary>
    public InboundAddress Keep(IPEndPoint destination) => Enter(destination)?.Address ?? throw new InvalidOperationException($"More than {Max} addresses are to be kept.");

    private void Leave(Place place)
    {
        lock (_lock)
        {
            place.Uses--;
            place.LastUsed = time.GetTimestamp();
        }
    }

    private Place? LongestUnusedLocked()
    {
        Place? best = null;
        foreach (var place in _places.Values)
        {
            if (place.Uses == 0 && (best is null || place.LastUsed < best.LastUsed))
            {
                best = place;
            }
        }

        return best;
    }

    internal sealed class Place(IPEndPoint endpoint, InboundAddress address)
    {
        public IPEndPoint Endpoint => endpoint;

        public InboundAddress Address => address;

        public int Uses { get; set; }

        public long LastUsed { get; set; }
    }

    /// <summary>A connection's use of a place.</summary>
    internal sealed class InboundPlace(InboundPlaces places, Place place) : IDisposable
    {
        private int _left;

        public InboundAddress Address => place.Address;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _left, 1) == 0)
            {
                places.Leave(place);
            }
        }
    }
}
