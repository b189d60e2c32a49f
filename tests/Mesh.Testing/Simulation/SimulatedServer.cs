using System.Globalization;

namespace Mesh.Testing.Simulation;

/// <summary>One replica of a service: an address, a few workers, and its weaknesses.</summary>
internal sealed class SimulatedServer
{
    private readonly SimulatedWorld _world;
    private readonly List<SimulatedConnection> _connections = [];
    private readonly HashSet<CancellationTokenSource> _running = [];
    private long _servedSinceStart;

    /// <param name="number">Makes its address; 1–65535.</param>
    public SimulatedServer(SimulatedWorld world, int number, int workers = 64, string zone = "a")
    {
        (_world, Port, Zone) = (world, number, zone);
        Workers = new WorkerPool(world, workers);
        App = WorkAsync;
        world.Network.Add(this);
    }

    public string Address { get; } = "10.0.0.1";

    public int Port { get; }

    public string HostPort => string.Create(CultureInfo.InvariantCulture, $"{Address}:{Port}");

    public string Zone { get; }

    public WorkerPool Workers { get; }

    public SimulatedServerState State { get; private set; } = SimulatedServerState.Up;

    /// <summary>How long a worker is busy with one request.</summary>
    public Delay Service { get; set; } = Delays.Fixed(5);

    /// <summary>From the headers of an answer to its end.</summary>
    public Delay BodyTime { get; set; } = Delays.None;

    /// <summary>Of the requests that fail: 0–1.</summary>
    public double FailShare { get; set; }

    public int FailStatus { get; set; } = 503;

    /// <summary>Requests after a start that take <see cref="ColdFactor"/> times as long.</summary>
    public int ColdRequests { get; set; }

    public double ColdFactor { get; set; } = 1;

    /// <summary>What serves; by default work of <see cref="Service"/>, then 200.</summary>
    public SimulatedApp App { get; set; }

    /// <summary>What stands before the app, such as the mesh's own limits; null is nothing.</summary>
    public Func<SimulatedExchange, SimulatedApp, CancellationToken, Task<SimulatedAnswer>>? Front { get; set; }

    /// <summary>Requests that reached it: the load on it.</summary>
    public long Arrived { get; private set; }

    public long Succeeded { get; private set; }

    public int InFlight => _running.Count;

    public int MostInFlight { get; private set; }

    /// <summary>The process dies: connections break, new ones are refused.</summary>
    public void Kill()
    {
        State = SimulatedServerState.Refusing;
        _world.Trace.Add(TraceEvent.Killed, Port);
        Break();
    }

    /// <summary>Its machine is cut off: nothing is refused, nothing answers.</summary>
    public void CutOff()
    {
        State = SimulatedServerState.BlackHole;
        _world.Trace.Add(TraceEvent.Killed, Port, 1);
    }

    /// <summary>It stops in order: what runs ends, streams that come late are refused, then connections are.</summary>
    public void Drain()
    {
        State = SimulatedServerState.Draining;
        foreach (var connection in _connections.ToArray())
        {
            _world.Time.After(_world.Network.OneWay(_world.Random), connection.CloseWhenIdle);
        }
    }

    public void Start()
    {
        if (State == SimulatedServerState.BlackHole)
        {
            Break();
        }

        State = SimulatedServerState.Up;
        _servedSinceStart = 0;
    }

    public void Connected(SimulatedConnection connection) => _connections.Add(connection);

    public void Disconnected(SimulatedConnection connection) => _connections.Remove(connection);

    public void Arrive(SimulatedExchange exchange)
    {
        switch (State)
        {
            case SimulatedServerState.Up:
                Arrived++;
                exchange.ArrivedAt = _world.Time.GetTimestamp();
                _world.Trace.Add(TraceEvent.Arrived, Port, Arrived);
                _ = ServeAsync(exchange);
                break;
            case SimulatedServerState.Draining:
                exchange.Refuse();
                break;
            default:
                // Broken connections tell the caller; a black hole never does.
                break;
        }
    }

    /// <summary>Holds a worker as long as a request takes.</summary>
    public Task OccupyAsync(SimulatedExchange exchange, long wantedUntil, CancellationToken cancellationToken)
    {
        _ = exchange;
        var service = Service(_world.Random);
        return Workers.WorkAsync(_servedSinceStart++ < ColdRequests ? service * ColdFactor : service, wantedUntil, cancellationToken);
    }

    private async Task<SimulatedAnswer> WorkAsync(SimulatedExchange exchange, CancellationToken cancellationToken)
    {
        await OccupyAsync(exchange, long.MaxValue, cancellationToken).ConfigureAwait(false);
        return new SimulatedAnswer(FailShare > 0 && _world.Random.NextDouble() < FailShare ? FailStatus : 200);
    }

    private async Task ServeAsync(SimulatedExchange exchange)
    {
        using var life = CancellationTokenSource.CreateLinkedTokenSource(exchange.Gone);
        _running.Add(life);
        MostInFlight = Math.Max(MostInFlight, _running.Count);
        try
        {
            var answer = await (Front is { } front ? front(exchange, App, life.Token) : App(exchange, life.Token)).ConfigureAwait(false);
            if (State is SimulatedServerState.Up or SimulatedServerState.Draining)
            {
                Succeeded += answer.Status < 400 ? 1 : 0;
                _world.Trace.Add(TraceEvent.Answered, Port, answer.Status);
                exchange.Answer(answer.Status, answer.Headers, BodyTime(_world.Random));
            }
        }
        catch (OperationCanceledException) when (life.IsCancellationRequested)
        {
            // Nobody waits for it.
        }
#pragma warning disable CA1031 // the run fails with it
        catch (Exception e)
#pragma warning restore CA1031
        {
            _world.Fail(e);
        }
        finally
        {
            _running.Remove(life);
        }
    }

    private void Break()
    {
        foreach (var connection in _connections.ToArray())
        {
            connection.Break();
        }

        foreach (var life in _running.ToArray())
        {
            life.Cancel();
        }
    }
}

/// <summary>Serves one request.</summary>
/// <param name="cancellationToken">The caller is gone, or the process ends.</param>
internal delegate Task<SimulatedAnswer> SimulatedApp(SimulatedExchange exchange, CancellationToken cancellationToken);

internal sealed record SimulatedAnswer(int Status, IReadOnlyList<KeyValuePair<string, string>>? Headers = null);

internal enum SimulatedServerState
{
    Up,
    Draining,

    /// <summary>No process listens.</summary>
    Refusing,

    /// <summary>Packets vanish.</summary>
    BlackHole,
}
