namespace Mesh.Outbound;

/// <summary>Keeps the time of one attempt: its response headers, idleness, and the end of the call while its response streams. Thread-safe.</summary>
/// <remarks>One timer for all of them. A byte only leaves a timestamp; when the timer fires it looks how long ago that was.</remarks>
internal sealed class AttemptWatch : IDisposable
{
    /// <summary>The words of <see cref="Telemetry.Decisions.Timeout"/>.</summary>
    public const string Headers = "headers";

    /// <inheritdoc cref="Headers"/>
    public const string Idle = "idle";

    private static readonly TimeSpan LongestTimer = TimeSpan.FromDays(1);
    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly TimeSpan? _headersTimeout;
    private readonly TimeSpan? _idleTimeout;
    private readonly ITimer _timer;
    private readonly CancellationTokenSource? _source;
    private readonly CancellationTokenRegistration _registration;
    private long _lastByte;

    // Timestamps and what else the lock guards.
    private long? _headersFrom;
    private (long From, TimeSpan Limit, string Reason)? _deadline;
    private bool _answered;
    private ResponseBody? _body;
    private bool _done;
    private volatile string? _expired;

    /// <summary>Of an attempt from now on.</summary>
    /// <param name="headersTimeout">From the end of the request to the headers of its response; null is none.</param>
    /// <param name="idleTimeout">Without a byte in either direction; null is none.</param>
    /// <param name="requestEnded">There is no request body to wait for.</param>
    /// <param name="cancellationToken">Ends the attempt too.</param>
    public AttemptWatch(TimeProvider time, TimeSpan? headersTimeout, TimeSpan? idleTimeout, bool requestEnded, CancellationToken cancellationToken)
        : this(time)
    {
        (_headersTimeout, _idleTimeout) = (headersTimeout, idleTimeout);
        _source = new CancellationTokenSource();
        _registration = cancellationToken.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _source);
        _headersFrom = requestEnded ? _lastByte : null;
        Look();
    }

    /// <summary>Of a response that only the end of its call bounds.</summary>
    public AttemptWatch(TimeProvider time, ResponseBody body)
        : this(time) => (_body, _answered) = (body, true);

    private AttemptWatch(TimeProvider time)
    {
        _time = time;
        _lastByte = time.GetTimestamp();
        _timer = time.CreateTimer(static watch => ((AttemptWatch)watch!).Look(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Cancelled when the attempt's time is over before its response, or with the token that was given.</summary>
    public CancellationToken Token => _source!.Token;

    /// <summary>Which limit ended the attempt; null when none did.</summary>
    public string? Expired => _expired;

    /// <summary>Bytes went out or came in.</summary>
    public void Touch()
    {
        if (_idleTimeout is not null)
        {
            Volatile.Write(ref _lastByte, _time.GetTimestamp());
        }
    }

    /// <summary>The whole request was written.</summary>
    public void RequestEnded()
    {
        Touch();
        lock (_lock)
        {
            if (_answered || _headersTimeout is null)
            {
                return;
            }

            _headersFrom = _time.GetTimestamp();
        }

        Look();
    }

    /// <summary>Response headers arrived: from now on the body is watched.</summary>
    public void Answered(ResponseBody body)
    {
        Touch();
        // Not Dispose: that would wait for a callback that runs.
        _registration.Unregister();
        lock (_lock)
        {
            (_answered, _headersFrom, _body) = (true, null, body);
        }

        if (_expired is { } reason)
        {
            body.Expire(reason);
        }
    }

    /// <summary>The call ends then, whatever streams.</summary>
    /// <param name="reason">One of the words of <see cref="Telemetry.Decisions.Timeout"/>.</param>
    public void ArmDeadline(TimeSpan left, string reason)
    {
        lock (_lock)
        {
            _deadline = (_time.GetTimestamp(), left, reason);
        }

        Look();
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _done = true;
        }

        _registration.Unregister();
        _timer.Dispose();
    }

    /// <summary>Ends the attempt when a limit is reached, else sets the timer to the next one.</summary>
    private void Look()
    {
        ResponseBody? body;
        var (left, reason) = (TimeSpan.MaxValue, string.Empty);
        lock (_lock)
        {
            if (_done)
            {
                return;
            }

            var now = _time.GetTimestamp();
            Consider(_headersFrom, _headersTimeout, Headers);
            Consider(Volatile.Read(ref _lastByte), _idleTimeout, Idle);
            Consider(_deadline?.From, _deadline?.Limit, _deadline?.Reason ?? string.Empty);
            if (left > TimeSpan.Zero)
            {
                if (left < TimeSpan.MaxValue)
                {
                    // Timers count whole milliseconds. Set under the lock, so that nobody who saw an older state sets it after us.
                    _timer.Change(left < LongestTimer ? TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds)) : LongestTimer, Timeout.InfiniteTimeSpan);
                }

                return;
            }

            (_done, _expired, body) = (true, reason, _body);

            void Consider(long? from, TimeSpan? limit, string why)
            {
                if (from is { } start && limit - _time.GetElapsedTime(start, now) is { } rest && rest < left)
                {
                    (left, reason) = (rest, why);
                }
            }
        }

        if (body is null)
        {
            _source!.Cancel();
        }
        else
        {
            body.Expire(reason);
        }
    }
}
