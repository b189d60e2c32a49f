namespace Mesh.Concurrency;

/// <summary>A moment to come, reached by whichever clock gets there first: the wall clock may jump, the monotonic one stands still while a machine sleeps.</summary>
internal readonly struct Appointment
{
    private readonly DateTimeOffset _at;
    private readonly long _made;
    private readonly TimeSpan _wait;

    public Appointment(TimeProvider time, TimeSpan wait)
    {
        _at = time.GetUtcNow() + wait;
        _made = time.GetTimestamp();
        _wait = wait;
    }

    /// <summary>When it is due, should no clock jump.</summary>
    public DateTimeOffset At => _at;

    /// <summary>What is left; zero or less when it is reached. The default value always is.</summary>
    public TimeSpan Left(TimeProvider time)
    {
        var byWall = _at - time.GetUtcNow();
        var byElapsed = _wait - time.GetElapsedTime(_made);
        return byWall < byElapsed ? byWall : byElapsed;
    }
}
