using System.Collections.Frozen;
using Mesh.Protos.Tap;

namespace Mesh.Tap;

/// <summary>Between the wire and what this process works with. What comes from a control plane is checked here.</summary>
internal static class TapMessages
{
    private const int MostExcept = 1000;
    private const int MostHeaders = 32;

    /// <summary>Null when it makes no sense: it is then not begun.</summary>
    public static TapSettings? Read(StartTap order)
    {
        if (order.Id.Length is 0 or > 64 || !TapStatus.TryParse(order.Status, out var status) || !(order.MaxPerSecond > 0) || !double.IsFinite(order.MaxPerSecond)
            || !(order.MinLatencyMs is >= 0 and < 86_400_000) || (order.Client is null && order.Server is null))
        {
            return null;
        }

        return new TapSettings(
            order.Id, Read(order.Client), Read(order.Server), order.Method, order.Path, status, TimeSpan.FromMilliseconds(order.MinLatencyMs),
            // A tap is for people: faster than this nobody reads, and each costs.
            Math.Min(order.MaxPerSecond, 10_000), order.Headers.Take(MostHeaders).ToFrozenSet(StringComparer.OrdinalIgnoreCase))
        {
            Opens = order.Opens,
        };
    }

    public static Exchange Write(string tap, TapExchange seen)
    {
        var exchange = new Exchange
        {
            Tap = tap,
            AtUnixUs = Microseconds(seen.At),
            Server = seen.Server,
            PeerName = seen.PeerName,
            PeerNamespace = seen.PeerNamespace,
            PeerIdentity = seen.PeerIdentity,
            Endpoint = seen.Endpoint,
            Method = seen.Method,
            Authority = seen.Authority,
            Path = seen.Path,
            Route = seen.Route,
            Status = seen.Status,
            Error = seen.Error,
            Failed = seen.Failed,
            LatencyUs = (long)seen.Latency.TotalMicroseconds,
            Attempts = seen.Attempts,
            MeshTls = seen.MeshTls,
            TraceId = seen.TraceId,
            Open = seen.Open,
            Stream = (ulong)seen.Stream,
        };
        if (seen.GrpcStatus >= 0)
        {
            exchange.GrpcStatus = seen.GrpcStatus;
        }

        foreach (var (name, value) in seen.RequestHeaders)
        {
            exchange.RequestHeaders[name] = value;
        }

        foreach (var (name, value) in seen.ResponseHeaders)
        {
            exchange.ResponseHeaders[name] = value;
        }

        return exchange;
    }

    public static Protos.Tap.TapStats Write(ActiveTap tap) => new() { Tap = tap.Settings.Id, Seen = (ulong)tap.Seen, Sent = (ulong)tap.Sent, Dropped = (ulong)tap.Dropped };

    public static Denial Write(DenialReport denial) => new()
    {
        AtUnixUs = Microseconds(denial.At),
        Caller = denial.Caller,
        Method = denial.Method,
        Path = denial.Path,
        Audit = denial.Audit,
        Rule = denial.Rule,
        Nearest = denial.Nearest,
        Count = (ulong)denial.Count,
    };

    private static TapSide? Read(SideFilter? side) => side is null ? null : new TapSide(side.Name, side.Namespace, side.Except.Take(MostExcept).ToFrozenSet(StringComparer.Ordinal));

    private static long Microseconds(DateTimeOffset at) => (at - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
}
