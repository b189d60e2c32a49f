using System.Collections.Frozen;
using Mesh.Protos.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Parts of answers as replicas send them to each other.</summary>
internal static class PartMessages
{
    public static PartsQuery Of(GoldenQuery query, GoldenPlan? plan)
    {
        var message = new PartsQuery { FromSlot = plan?.FromSlot ?? 0, ToSlot = plan?.ToSlot ?? 0, StepSlots = plan?.StepSlots ?? 0, By = (int)query.By, View = (int)query.View };
        Set(query.Source, v => message.Source = v);
        Set(query.SourceNamespace, v => message.SourceNamespace = v);
        Set(query.Destination, v => message.Destination = v);
        Set(query.DestinationNamespace, v => message.DestinationNamespace = v);
        Set(query.Namespace, v => message.Namespace = v);
        Set(query.Route, v => message.Route = v);
        Set(query.Backend, v => message.Backend = v);
        Set(query.Endpoint, v => message.Endpoint = v);
        return message;
    }

    /// <summary>The slots asked for; null: since the start.</summary>
    public static GoldenPlan? PlanOf(PartsQuery message) =>
        message.FromSlot == message.ToSlot ? null : new GoldenPlan(message.FromSlot, message.ToSlot, message.StepSlots == 0 ? null : message.StepSlots);

    public static GoldenQuery QueryOf(PartsQuery message) => new((GoldenBy)message.By, GoldenQuery.Start, DateTimeOffset.MaxValue)
    {
        View = (GoldenView)message.View,
        Source = message.HasSource ? message.Source : null,
        SourceNamespace = message.HasSourceNamespace ? message.SourceNamespace : null,
        Destination = message.HasDestination ? message.Destination : null,
        DestinationNamespace = message.HasDestinationNamespace ? message.DestinationNamespace : null,
        Namespace = message.HasNamespace ? message.Namespace : null,
        Route = message.HasRoute ? message.Route : null,
        Backend = message.HasBackend ? message.Backend : null,
        Endpoint = message.HasEndpoint ? message.Endpoint : null,
    };

    public static PartsAnswer Of(GoldenPart part)
    {
        var message = new PartsAnswer { NowMs = part.Now.ToUnixTimeMilliseconds(), ReachesBackToMs = part.ReachesBackTo.ToUnixTimeMilliseconds(), Store = part.Store };
        message.Gaps.AddRange(part.Gaps.Select(g => new Gap { FromMs = g.From.ToUnixTimeMilliseconds(), ToMs = g.To.ToUnixTimeMilliseconds(), Who = g.Who, Why = g.Why }));
        message.Reporters.AddRange(part.Reporters.Select(Of));
        message.Items.AddRange(part.Items.Select(Of));
        return message;
    }

    /// <param name="steps">As asked; what lies beyond is left out.</param>
    public static GoldenPart Read(PartsAnswer message, int steps) => new(
        Time(message.NowMs), Time(message.ReachesBackToMs), message.Store, [.. message.Gaps.Select(g => new MissingTime(Time(g.FromMs), Time(g.ToMs), g.Who, g.Why))],
        message.Reporters.Select(Read).ToFrozenSet(), [.. message.Items.Select(i => Read(i, steps))]);

    public static DateTimeOffset Time(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(Math.Clamp(milliseconds, -62_135_596_800_000, 253_402_300_799_000));

    private static Protos.Telemetry.Caller Of(Caller caller) => new() { Account = caller.ServiceAccount, Namespace = caller.Namespace };

    private static Caller Read(Protos.Telemetry.Caller caller) => new(caller.Account, caller.Namespace);

    private static Item Of(PartItem item)
    {
        var message = new Item
        {
            Server = item.IsServer,
            WitnessedFrom = item.WitnessedFrom is { } caller ? Of(caller) : null,
            FirstMs = item.First.ToUnixTimeMilliseconds(),
            SeenMs = item.Seen.ToUnixTimeMilliseconds(),
            OpenConnections = item.OpenConnections,
        };
        Set(item.Key.Source, v => message.Source = v);
        Set(item.Key.SourceNamespace, v => message.SourceNamespace = v);
        Set(item.Key.Destination, v => message.Destination = v);
        Set(item.Key.DestinationNamespace, v => message.DestinationNamespace = v);
        Set(item.Key.Route, v => message.Route = v);
        Set(item.Key.Backend, v => message.Backend = v);
        Set(item.Key.BackendNamespace, v => message.BackendNamespace = v);
        Set(item.Key.Endpoint, v => message.Endpoint = v);
        for (var step = 0; step < item.Cells.Length; step++)
        {
            for (var part = 0; part < GoldenCell.Parts; part++)
            {
                if (item.Cells[step]?.Known((CellPart)part) is { } counts)
                {
                    var one = new Counts { Step = step, Part = part, Good = counts.Good, Bad = counts.Bad, Cancelled = counts.Cancelled, Tls = counts.Tls, Offset = counts.Durations.Offset };
                    one.Buckets.AddRange(counts.Durations.Counts.ToArray());
                    message.Counts.Add(one);
                }
            }
        }

        return message;
    }

    private static PartItem Read(Item message, int steps)
    {
        var key = new GoldenKey
        {
            Source = message.HasSource ? message.Source : null,
            SourceNamespace = message.HasSourceNamespace ? message.SourceNamespace : null,
            Destination = message.HasDestination ? message.Destination : null,
            DestinationNamespace = message.HasDestinationNamespace ? message.DestinationNamespace : null,
            Route = message.HasRoute ? message.Route : null,
            Backend = message.HasBackend ? message.Backend : null,
            BackendNamespace = message.HasBackendNamespace ? message.BackendNamespace : null,
            Endpoint = message.HasEndpoint ? message.Endpoint : null,
        };
        var item = new PartItem(key, message.Server, message.WitnessedFrom is { } caller ? Read(caller) : null, steps) { OpenConnections = message.OpenConnections };
        item.Cover(Time(message.FirstMs), Time(message.SeenMs));
        foreach (var counts in message.Counts.Where(c => c.Step >= 0 && c.Step < steps && c.Part >= 0 && c.Part < GoldenCell.Parts))
        {
            var into = item.At(counts.Step).Of((CellPart)counts.Part);
            (into.Good, into.Bad, into.Cancelled, into.Tls) = (counts.Good, counts.Bad, counts.Cancelled, counts.Tls);
            for (var i = 0; i < counts.Buckets.Count; i++)
            {
                into.Durations.Add(counts.Offset + i, counts.Buckets[i]);
            }
        }

        return item;
    }

    private static void Set(string? value, Action<string> set)
    {
        if (value is not null)
        {
            set(value);
        }
    }
}
