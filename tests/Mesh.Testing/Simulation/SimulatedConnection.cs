namespace Mesh.Testing.Simulation;

/// <summary>One connection: HTTP/2 carries many requests at a time, HTTP/1 one.</summary>
internal sealed class SimulatedConnection(SimulatedConnections owner, SimulatedServer server, bool http2)
{
    private readonly List<SimulatedExchange> _carried = [];
    private bool _goingAway;

    public bool IsHttp2 => http2;

    public bool IsClosed { get; private set; }

    public bool HasRoom => !IsClosed && !_goingAway && _carried.Count < (http2 ? owner.Network.MaxStreams : 1);

    /// <summary>Sends a request on its way.</summary>
    public void Carry(SimulatedExchange exchange)
    {
        _carried.Add(exchange);
        owner.Network.OpenStreams++;
        exchange.Begin(this);
        owner.Network.World.Time.After(owner.OneWay(), () =>
        {
            if (exchange.IsOver)
            {
                // The reset came with it: the server sees neither.
                return;
            }

            server.Arrive(exchange);
        });
    }

    /// <summary>The caller has all of it, or wants no more.</summary>
    /// <param name="whole">Else HTTP/1 can't go on with this connection.</param>
    public void Ended(SimulatedExchange exchange, bool whole)
    {
        if (!_carried.Remove(exchange))
        {
            return;
        }

        owner.Network.OpenStreams--;
        if ((!http2 && !whole) || (_goingAway && _carried.Count == 0))
        {
            Close();
        }

        owner.Changed(this);
    }

    /// <summary>GOAWAY, or the caller gives the connection up: what runs ends, nothing new begins.</summary>
    public void CloseWhenIdle()
    {
        _goingAway = true;
        if (_carried.Count == 0)
        {
            Close();
            owner.Changed(this);
        }
    }

    /// <summary>The other side is gone; seen one way later.</summary>
    public void Break() => owner.Network.World.Time.After(owner.OneWay(), () =>
    {
        Close();
        foreach (var exchange in _carried.ToArray())
        {
            owner.Network.World.Trace.Add(TraceEvent.Reset, server.Port);
            _carried.Remove(exchange);
            owner.Network.OpenStreams--;
            exchange.Fail(new HttpRequestException(HttpRequestError.ResponseEnded, null, new IOException("The connection was reset by the peer.")));
        }

        owner.Changed(this);
    });

    private void Close()
    {
        if (!IsClosed)
        {
            IsClosed = true;
            owner.Network.OpenConnections--;
            server.Disconnected(this);
        }
    }
}
