using System.Net;
using Mesh.Outbound;
using Mesh.Traffic;

namespace Mesh.Testing.Simulation;

/// <summary>Callers: who calls what, how often, and who of them gives up.</summary>
internal sealed class SimulatedLoad(SimulatedProgram program, Uri uri)
{
    private static readonly byte[] _body = new byte[64];
    private readonly SimulatedWorld _world = program.World;
    private int _inFlight;

    public Calls Calls { get; } = new();

    public HttpMethod Method { get; init; } = HttpMethod.Get;

    public Version Version { get; init; } = HttpVersion.Version20;

    /// <summary>Of the calls, those whose caller gives up after <see cref="Patience"/>: 0–1.</summary>
    public double CancelShare { get; init; }

    public Delay Patience { get; init; } = Delays.None;

    /// <summary>Of the calls, those whose answer is dropped unread: 0–1.</summary>
    public double DropShare { get; init; }

    /// <summary>What else a request needs, such as a header.</summary>
    public Action<HttpRequestMessage>? Prepare { get; init; }

    /// <summary>Looks at an answer that was read.</summary>
    public Action<HttpRequestMessage, HttpResponseMessage>? Observe { get; init; }

    /// <summary>The caller serves a request itself that has so much time left when it calls; null is no limit.</summary>
    public TimeSpan? Deadline { get; init; }

    public int InFlight => _inFlight;

    /// <summary>Open loop: calls begin at random moments (Poisson), whatever becomes of those before.</summary>
    /// <param name="until">Seconds from the simulation's start.</param>
    public void Poisson(double perSecond, double until)
    {
        var next = TimeSpan.FromSeconds(-Math.Log(1 - _world.Random.NextDouble()) / perSecond);
        if (_world.Time.Elapsed + next > TimeSpan.FromSeconds(until))
        {
            return;
        }

        _world.Time.After(next, () =>
        {
            Begin();
            Poisson(perSecond, until);
        });
    }

    /// <summary>Closed loop: so many callers, each with its next call after a pause.</summary>
    public void Loop(int callers, Delay pause, double until)
    {
        for (var i = 0; i < callers; i++)
        {
            _ = LoopAsync(pause, until);
        }
    }

    /// <summary>One call now.</summary>
    public void Begin() => _ = CallAsync();

    /// <summary>Goes on until every call has ended.</summary>
    public void Finish(double atMostSeconds = 60) => _world.RunUntil(() => _inFlight == 0, "all calls have ended", atMostSeconds);

    private async Task LoopAsync(Delay pause, double until)
    {
        while (_world.Time.Elapsed.TotalSeconds < until)
        {
            await CallAsync().ConfigureAwait(false);
            var rested = new TaskCompletionSource();
            _world.Time.After(pause(_world.Random), rested.SetResult);
            await rested.Task.ConfigureAwait(false);
        }
    }

    private async Task CallAsync()
    {
        _inFlight++;
        var start = _world.Time.Elapsed;
        var number = Calls.Count + _inFlight;
        _world.Trace.Add(TraceEvent.Call, number);
        CancellationTokenSource? patience = null;
        if (CancelShare > 0 && _world.Random.NextDouble() < CancelShare)
        {
            var leaving = patience = new CancellationTokenSource();
            _world.Time.After(Patience(_world.Random), leaving.Cancel);
        }

        var (ended, status, error) = (CallEnd.Threw, 0, (string?)null);
        try
        {
            (ended, status, error) = await ExchangeAsync(patience?.Token ?? CancellationToken.None).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (patience is { IsCancellationRequested: true })
        {
            ended = CallEnd.Cancelled;
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            // No answer, or half of one: it is counted.
        }
#pragma warning disable CA1031 // the run fails with it
        catch (Exception e)
#pragma warning restore CA1031
        {
            _world.Fail(e);
        }

        _inFlight--;
        var duration = _world.Time.Elapsed - start;
        _world.Trace.Add(TraceEvent.CallEnded, number, status + ((int)ended * 1000));
        Calls.Add(new Call(start, duration, ended, status, error));
    }

    private async Task<(CallEnd Ended, int Status, string? Error)> ExchangeAsync(CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(Method, uri) { Version = Version };
        if (Method == HttpMethod.Post)
        {
            request.Content = new ByteArrayContent(_body);
        }

        Prepare?.Invoke(request);
        if (Deadline is { } limit)
        {
            // As if the caller served a request itself. Seen by what is awaited here; its caller never sees it.
            Traffic.Deadline.Current = new Deadline(_world.Time, _world.Time.GetTimestamp(), limit);
        }

        using var response = await program.SendAsync(request, cancellationToken).ConfigureAwait(false);
        if (!(DropShare > 0 && _world.Random.NextDouble() < DropShare))
        {
            await response.Content.CopyToAsync(Stream.Null, cancellationToken).ConfigureAwait(false);
        }

        var status = (int)response.StatusCode;
        Observe?.Invoke(request, response);
        return (status < 400 ? CallEnd.Good : CallEnd.Bad, status, response.Headers.TryGetValues(OutboundErrors.Header, out var error) ? error.First() : null);
    }
}
