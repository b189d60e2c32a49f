using System.Collections.Concurrent;
using Mesh.ControlPlane.Insight;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Api;

/// <summary>The documents that many look at: made once for all who ask within half a second. Thread-safe.</summary>
internal sealed class InsightTopics(InsightReader insight, TopologyReader topology, ServicePageReader services, TimeProvider time)
{
    private static readonly TimeSpan Fresh = TimeSpan.FromMilliseconds(500);
    private const int MostKept = 200;
    private readonly ConcurrentDictionary<string, (long At, Task Reading)> _kept = new(StringComparer.Ordinal);

    public Task<Overview> OverviewAsync(InsightTime asked, CancellationToken cancellationToken) =>
        SharedAsync($"overview {Key(asked)}", () => insight.OverviewAsync(asked, CancellationToken.None), cancellationToken);

    public Task<Topology> TopologyAsync(InsightTime asked, CancellationToken cancellationToken) =>
        SharedAsync($"topology {Key(asked)}", () => topology.ReadAsync(asked, CancellationToken.None), cancellationToken);

    /// <returns>Null when there is no such Service.</returns>
    public Task<ServicePage?> ServiceAsync(ServiceName name, InsightTime asked, CancellationToken cancellationToken) =>
        SharedAsync($"service {name} {Key(asked)}", () => services.ReadAsync(name, asked, CancellationToken.None), cancellationToken);

    /// <summary>The last so many seconds are the same for all who ask now.</summary>
    private static string Key(InsightTime asked) =>
        asked.To == asked.Now ? FormattableString.Invariant($"{asked.Length.TotalSeconds}") : FormattableString.Invariant($"{asked.From.UtcTicks} {asked.To.UtcTicks}");

    private Task<T> SharedAsync<T>(string key, Func<Task<T>> read, CancellationToken cancellationToken)
    {
        if (_kept.TryGetValue(key, out var kept) && time.GetElapsedTime(kept.At) < Fresh && !kept.Reading.IsFaulted)
        {
            return ((Task<T>)kept.Reading).WaitAsync(cancellationToken);
        }

        if (_kept.Count >= MostKept)
        {
            _kept.Clear();
        }

        // Two that ask in the same moment may both read: dear only, not wrong.
        var reading = read();
        _kept[key] = (time.GetTimestamp(), reading);
        return reading.WaitAsync(cancellationToken);
    }
}
