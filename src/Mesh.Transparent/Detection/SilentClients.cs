using System.Net.Sockets;
using Mesh.Transparent.Forwarding;

namespace Mesh.Transparent.Detection;

/// <summary>Detection that knows servers which speak first: when the client is silent, the server is connected, and whoever speaks first tells.</summary>
/// <remarks>So a database works on a port that nobody declared opaque, after a tenth of a second instead of the ten that a plain detection time-out takes.</remarks>
internal sealed class SilentClients(ProtocolDetector detector, TimeProvider time)
{
    /// <summary>How long a client may be silent before the server is connected: HTTP clients write at once.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(50);

    /// <summary>How long both may be silent; then it is carried as bytes (Linkerd's detection time-out).</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    /// <param name="connect">Connects the server. What it throws is not seen here: whoever wants the connection tries again and says it.</param>
    public async ValueTask<Heard> ListenAsync(Socket client, Func<CancellationToken, ValueTask<RelayTarget>> connect, CancellationToken cancellationToken)
    {
        var first = await DetectAsync(client, Patience, cancellationToken).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        if (first.Protocol != WireProtocol.Unknown)
        {
            return new Heard(first);
        }

        RelayTarget? server = null;
        try
        {
            server = await connect(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or SocketException or TimeoutException)
        {
            var alone = await DetectAsync(client, Longest, cancellationToken).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            return alone.Protocol == WireProtocol.Unknown ? new Heard(new(WireProtocol.Opaque)) { TimedOut = true } : new Heard(alone);
        }

        return await RaceAsync(client, server, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<Heard> RaceAsync(Socket client, RelayTarget server, CancellationToken cancellationToken)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var early = new EarlyRead(server.End.Stream, CancellationToken.None);
        var detecting = DetectAsync(client, Longest, enough.Token).AsTask();
        await Task.WhenAny(detecting, early.Read).ConfigureAwait(false);
        if (!detecting.IsCompleted)
        {
            // The server spoke first, or hung up.
            await enough.CancelAsync().ConfigureAwait(false);
            await ((Task)detecting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return new Heard(new(WireProtocol.Opaque)) { Server = server, Early = early, ServerSpoke = true };
        }

        Detected found;
        try
        {
            found = await detecting.ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
        catch
        {
            await DropAsync(server, early).ConfigureAwait(false);
            throw;
        }

        if (found.Protocol is WireProtocol.Opaque or WireProtocol.Unknown)
        {
            return new Heard(new(WireProtocol.Opaque)) { Server = server, Early = early, TimedOut = found.Protocol == WireProtocol.Unknown };
        }

        // It goes another way.
        await DropAsync(server, early).ConfigureAwait(false);
        return new Heard(found);
    }

    private static async ValueTask DropAsync(RelayTarget server, EarlyRead early)
    {
        await server.CloseAsync(failed: false).ConfigureAwait(false);
        await early.Read.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default).ConfigureAwait(false);
        early.Dispose();
    }

    private async ValueTask<Detected> DetectAsync(Socket client, TimeSpan patience, CancellationToken cancellationToken)
    {
        using var timed = new CancellationTokenSource(patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timed.Token);
        return await detector.DetectAsync(client, either.Token).ConfigureAwait(false);
    }
}

/// <summary>What was heard.</summary>
internal readonly record struct Heard(Detected First)
{
    /// <summary>The server's connection, when it is of use; the owner is whoever gets this.</summary>
    public RelayTarget? Server { get; init; }

    /// <summary>What was asked of it already.</summary>
    public EarlyRead? Early { get; init; }

    /// <summary>The server spoke before the client did.</summary>
    public bool ServerSpoke { get; init; }

    /// <summary>Nobody spoke in time.</summary>
    public bool TimedOut { get; init; }
}
