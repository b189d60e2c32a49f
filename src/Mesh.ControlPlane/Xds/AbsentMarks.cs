using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Xds;

/// <summary>A mark whose endpoint is in no model.</summary>
internal readonly record struct AbsentMark(string Id, string HostPort, DateTimeOffset Since);

/// <summary>Finds marks without an endpoint, and remembers since when. Not thread-safe: owned by the marks' loop.</summary>
/// <remarks>The memory begins anew with the process: a mark then stays longer, never shorter.</remarks>
internal sealed class AbsentMarks(ModelStore store, TrustDomain trustDomain, TimeProvider time)
{
    private Dictionary<(string Id, string HostPort), DateTimeOffset> _since = [];

    /// <summary>Longest absent first; none before the first model is known.</summary>
    public List<AbsentMark> Find(ImmutableDictionary<string, ImmutableHashSet<string>> marks)
    {
        var model = store.Current;
        if (ReferenceEquals(model, MeshModel.Empty))
        {
            return [];
        }

        var present = new HashSet<(string, string)>();
        foreach (var service in model.Services.Values)
        {
            foreach (var endpoint in service.Endpoints)
            {
                if (endpoint.ServiceAccount is { } account)
                {
                    present.Add((SpiffeId.ForServiceAccount(trustDomain, service.Name.Namespace, account).ToString(), endpoint.HostPort));
                }
            }
        }

        var now = time.GetUtcNow();
        var since = new Dictionary<(string, string), DateTimeOffset>();
        foreach (var (id, addresses) in marks)
        {
            foreach (var address in addresses)
            {
                if (!present.Contains((id, address)))
                {
                    since.Add((id, address), _since.TryGetValue((id, address), out var known) ? known : now);
                }
            }
        }

        _since = since;
        return [.. since.Select(s => new AbsentMark(s.Key.Item1, s.Key.Item2, s.Value)).OrderBy(m => m.Since)];
    }
}
