using System.Collections.Concurrent;
using Grpc.Core;
using Mesh.Concurrency;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Tap;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Tap;

/// <summary>All data planes that attend here, and what is wanted of them. Thread-safe.</summary>
internal sealed partial class TapHub(ModelStore models, DenialStore denials, TimeProvider time)
{
    /// <summary>While somebody looks.</summary>
    public static readonly TimeSpan HurriedInterval = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan LongestHurry = TimeSpan.FromMinutes(5);

    // Reports of one stream: an honest one never sends so many, and who does is read slowly.
    private static readonly TimeSpan PerReport = TimeSpan.FromMilliseconds(20);
    private const int ReportsAtOnce = 50;

    private readonly ConcurrentDictionary<TapSession, bool> _sessions = new();
    private readonly Lock _lock = new();

    // Until when data planes were told to hurry.
    private Appointment _hurry;

    public int Count => _sessions.Count;

    /// <summary>Asks the data planes that attend here to report each second for so long. False: they are told already.</summary>
    public bool HurryHere(TimeSpan lasts)
    {
        lasts = lasts < LongestHurry ? lasts : LongestHurry;
        lock (_lock)
        {
            // Told again when a third of it has gone: looking costs few orders.
            if (lasts <= TimeSpan.Zero || _hurry.Left(time) > lasts * 2 / 3)
            {
                return false;
            }

            _hurry = new Appointment(time, lasts);
        }

        foreach (var session in _sessions.Keys)
        {
            session.Tell(HurryFor(lasts));
        }

        return true;
    }

    /// <summary>Serves one data plane until its stream ends.</summary>
    /// <exception cref="RpcException">It does not keep to the protocol.</exception>
    public async Task AttendAsync(SpiffeId identity, IAsyncStreamReader<TapReport> reports, IServerStreamWriter<TapOrder> orders, CancellationToken cancellationToken)
    {
        if (!await reports.MoveNext(cancellationToken))
        {
            return;
        }

        var session = new TapSession(identity);
        session.Meet(reports.Current.Hello ?? throw new RpcException(new Status(StatusCode.InvalidArgument, "The first report of a stream says hello.")));
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _sessions[session] = true;
        try
        {
            Welcome(session);
            var reading = ReadAsync(session, reports, ends.Token);
            var sending = session.SendAsync(orders, ends.Token);
            var first = await Task.WhenAny(reading, sending);
            await ends.CancelAsync();
            await Task.WhenAll(reading, sending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await first;
        }
        finally
        {
            _sessions.TryRemove(session, out _);
        }
    }

    private void Welcome(TapSession session)
    {
        TimeSpan left;
        lock (_lock)
        {
            left = _hurry.Left(time);
        }

        if (left > TimeSpan.Zero)
        {
            session.Tell(HurryFor(left));
        }
    }

    private async Task ReadAsync(TapSession session, IAsyncStreamReader<TapReport> reports, CancellationToken cancellationToken)
    {
        var due = time.GetTimestamp();
        while (await reports.MoveNext(cancellationToken))
        {
            Take(session, reports.Current);
            var now = time.GetTimestamp();
            due = Math.Max(due, now) + (long)(PerReport.TotalSeconds * time.TimestampFrequency);
            var early = time.GetElapsedTime(now, due) - (PerReport * ReportsAtOnce);
            if (early > TimeSpan.Zero)
            {
                // Not read meanwhile: HTTP/2 stops the sender.
                await Task.Delay(early, time, cancellationToken);
            }
        }
    }

    private static TapOrder HurryFor(TimeSpan lasts) =>
        new() { Hurry = new Hurry { IntervalMs = (uint)HurriedInterval.TotalMilliseconds, LastsMs = (uint)Math.Max(1, lasts.TotalMilliseconds) } };
}
