using System.Globalization;
using System.Net;

namespace Mesh.Testing.Simulation;

/// <summary>One request on one connection, seen from both ends.</summary>
#pragma warning disable CA1001 // a source without timer and without parent holds nothing
internal sealed class SimulatedExchange
#pragma warning restore CA1001
{
    // RFC 9113 §7.
    private const long RefusedStream = 0x7;

    private readonly SimulatedConnections _connections;
    private readonly HttpRequestMessage _message;
    private readonly TaskCompletionSource<HttpResponseMessage> _response = new();
    private readonly TaskCompletionSource _body = new();
    private readonly CancellationTokenSource _gone = new();
    private readonly CancellationTokenRegistration _cancellation;
    private SimulatedConnection? _connection;
    private bool _answered;

    public SimulatedExchange(SimulatedConnections connections, HttpRequestMessage message, CancellationToken cancellationToken)
    {
        (_connections, _message) = (connections, message);
        IsHttp2 = message.Version.Major >= 2;
        _cancellation = cancellationToken.UnsafeRegister(static (exchange, token) => ((SimulatedExchange)exchange!).Cancel(token), this);
    }

    public bool IsHttp2 { get; }

    public Task<HttpResponseMessage> Response => _response.Task;

    /// <summary>Its place in the queue for a connection; null when it has one.</summary>
    public LinkedListNode<SimulatedExchange>? Waits { get; set; }

    /// <summary>The caller has it all, or wants no more.</summary>
    public bool IsOver { get; private set; }

    public HttpMethod Method => _message.Method;

    public Uri Uri => _message.RequestUri!;

    /// <summary>As they were when it was sent: a later attempt writes its own into the same message.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; private set; } = [];

    /// <summary>Timestamp: when it reached the server.</summary>
    public long ArrivedAt { get; set; }

    /// <summary>Cancelled when the server learns that nobody waits for the answer any more.</summary>
    public CancellationToken Gone => _gone.Token;

    public string? Header(string name)
    {
        foreach (var (key, value) in Headers)
        {
            if (string.Equals(key, name, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        return null;
    }

    public void Begin(SimulatedConnection connection)
    {
        _connection = connection;
        List<KeyValuePair<string, string>>? headers = null;
        foreach (var (name, values) in _message.Headers.NonValidated)
        {
            (headers ??= []).Add(new(name, values.ToString()));
        }

        Headers = headers ?? Headers;
        if (_message.Content is { } content && content.CopyToAsync(Stream.Null) is { IsCompletedSuccessfully: false } copied)
        {
            throw new NotSupportedException($"The simulation sends request bodies that are in memory; this one is {copied.Status}.");
        }
    }

    /// <summary>The server answers: headers, then after a while the end of the body.</summary>
    public void Answer(int status, IReadOnlyList<KeyValuePair<string, string>>? headers, TimeSpan bodyTime)
    {
        var time = _connections.Network.World.Time;
        var way = _connections.OneWay();
        time.After(way, () =>
        {
            if (IsOver)
            {
                return;
            }

            _answered = true;
            var response = new HttpResponseMessage((HttpStatusCode)status) { RequestMessage = _message, Version = _message.Version, Content = new SimulatedContent(this) };
            foreach (var (name, value) in headers ?? [])
            {
                response.Headers.TryAddWithoutValidation(name, value);
            }

            // A small answer ends in the packet that it begins with.
            if (bodyTime == TimeSpan.Zero)
            {
                Whole();
            }

            _response.TrySetResult(response);
        });
        if (bodyTime > TimeSpan.Zero)
        {
            time.After(way + bodyTime, Whole);
        }
    }

    /// <summary>The server has not looked at it and says so.</summary>
    public void Refuse() => _connections.Network.World.Time.After(_connections.OneWay(), () =>
    {
        if (!IsOver)
        {
            End(whole: true);
            _response.TrySetException(new HttpRequestException(
                HttpRequestError.Unknown, null, new HttpProtocolException(RefusedStream, string.Create(CultureInfo.InvariantCulture, $"The stream was refused ({RefusedStream})."), null)));
        }
    });

    /// <summary>The connection broke, or there never was one.</summary>
    public void Fail(Exception exception)
    {
        if (IsOver)
        {
            return;
        }

        End(whole: false);
        _gone.Cancel();
        if (_answered)
        {
            _body.TrySetException(new HttpIOException(HttpRequestError.ResponseEnded, "The connection broke before the response's end.", exception));
            _ = _body.Task.Exception;
        }
        else
        {
            _response.TrySetException(exception);
        }
    }

    /// <summary>The body's end; or the caller's, which then wins.</summary>
    public Task BodyAsync(CancellationToken cancellationToken) =>
        _body.Task.IsCompleted || !cancellationToken.CanBeCanceled ? _body.Task : WaitAsync(cancellationToken);

    /// <summary>The caller drops the response.</summary>
    public void Abandon()
    {
        if (!IsOver)
        {
            End(whole: false);
            _body.TrySetException(new IOException("The response was disposed."));
            _ = _body.Task.Exception;
            TellServer();
        }
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        var registration = cancellationToken.UnsafeRegister(static (exchange, token) => ((SimulatedExchange)exchange!).CancelBody(token), this);
        try
        {
            await _body.Task.ConfigureAwait(false);
        }
        finally
        {
            // Not DisposeAsync: when its own callback runs, that waits on another thread.
            registration.Unregister();
        }
    }

    private void CancelBody(CancellationToken token)
    {
        if (!IsOver)
        {
            End(whole: false);
            TellServer();
        }

        _body.TrySetCanceled(token);
    }

    private void Cancel(CancellationToken token)
    {
        // After the headers a body's own token counts.
        if (IsOver || _answered)
        {
            return;
        }

        if (Waits is { } node)
        {
            _connections.StopWaiting(node);
            Waits = null;
        }

        End(whole: false);
        TellServer();
        _response.TrySetCanceled(token);
    }

    private void Whole()
    {
        if (!IsOver)
        {
            End(whole: true);
            _body.TrySetResult();
        }
    }

    private void End(bool whole)
    {
        IsOver = true;
        _cancellation.Unregister();
        _connection?.Ended(this, whole);
    }

    private void TellServer()
    {
        if (_connection is not null)
        {
            _connections.Network.World.Trace.Add(TraceEvent.Cancelled, Uri.Port);
            _connections.Network.World.Time.After(_connections.OneWay(), _gone.Cancel);
        }
    }
}
