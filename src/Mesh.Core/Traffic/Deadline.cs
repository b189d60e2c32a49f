namespace Mesh.Traffic;

/// <summary>The moment after which nobody waits for the answer of the request that is being served. Immutable.</summary>
/// <param name="arrived">Timestamp of <paramref name="time"/>.</param>
/// <param name="limit">From then on; at most <see cref="DeadlineHeaders.Longest"/>.</param>
internal sealed class Deadline(TimeProvider time, long arrived, TimeSpan limit)
{
    // Ambient like Activity.Current: between the middleware and a client lies only the app's code, which passes nothing on.
    private static readonly AsyncLocal<Deadline?> _current = new();

    /// <summary>Of the request that this flow of execution serves; work that it starts inherits it, background work too.</summary>
    public static Deadline? Current
    {
        get => _current.Value;
        set => _current.Value = value;
    }

    // What is left travels in whole milliseconds, and timers fire up to one early: less is nothing.
    private static readonly TimeSpan _nothing = TimeSpan.FromMilliseconds(1);

    public TimeSpan Left => limit - time.GetElapsedTime(arrived);

    /// <summary>Less than a millisecond is left.</summary>
    public bool IsOver => Left < _nothing;

    /// <summary>A token for work that is to end with it, or with its caller.</summary>
    /// <param name="caller">The token that the work would have without it.</param>
    public DeadlineToken Bind(CancellationToken caller) => new(this, time, caller);
}

/// <summary>Cancelled when the deadline is over or the caller gives up.</summary>
internal sealed class DeadlineToken : IDisposable
{
    private readonly CancellationTokenSource _source;
    private readonly CancellationToken _caller;
    private readonly CancellationTokenRegistration _registration;

    public DeadlineToken(Deadline deadline, TimeProvider time, CancellationToken caller)
    {
        var left = deadline.Left;
        Deadline = deadline;
        _source = new CancellationTokenSource(left > TimeSpan.Zero ? left : TimeSpan.Zero, time);
        Token = _source.Token;
        _caller = caller;
        _registration = caller.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _source);
    }

    public Deadline Deadline { get; }

    /// <summary>The deadline is over, by the clock or by its timer, which may be a moment ahead.</summary>
    public bool HasExpired => Deadline.IsOver || (Token.IsCancellationRequested && !_caller.IsCancellationRequested);

    /// <summary>May be kept and asked after this was disposed; then it fires no more.</summary>
    public CancellationToken Token { get; }

    public void Dispose()
    {
        // First the registration: its callback must not meet a disposed source.
        _registration.Dispose();
        _source.Dispose();
    }
}
