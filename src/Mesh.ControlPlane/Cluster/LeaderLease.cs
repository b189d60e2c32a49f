using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.Concurrency;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <param name="Identity">Of this process: no earlier one of the same pod may be taken for it.</param>
internal sealed record LeaderLeaseOptions(string Namespace, string Name, string Identity)
{
    /// <summary>Nobody else begins before a lease was left alone for so long.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Who could not renew for so long leads no more.</summary>
    public TimeSpan RenewDeadline { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Between two tries, to renew or to acquire.</summary>
    public TimeSpan Retry { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Of one request.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>Elects one replica by a Lease, as every controller of Kubernetes does. Thread-safe.</summary>
/// <remarks>
/// No clock of another machine is believed: a lease is over when we have seen it unchanged for its duration. A leader counts from the moment before it sent its last renewal that succeeded, and
/// stops 5 s before anybody can have seen it unchanged for long enough.
/// </remarks>
internal sealed partial class LeaderLease(KubeApi api, LeaderLeaseOptions options, TimeProvider time, Random random, ILogger<LeaderLease> logger) : BackgroundService
{
    private readonly string _list = $"/apis/coordination.k8s.io/v1/namespaces/{options.Namespace}/leases";
    private readonly Lock _lock = new();
    private Term? _term;
    private TaskCompletionSource<Term> _next = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _acting;
    private string _holder = string.Empty;
    private long _renewed;

    // Owned by the loop.
    private JsonObject? _held;
    private string? _seen;
    private Appointment _over;
    private bool _steppedDown;
    private string? _said;

    private string Path => $"{_list}/{options.Name}";

    /// <summary>Whether this replica leads at this moment.</summary>
    public bool IsLeader
    {
        get
        {
            lock (_lock)
            {
                return _term?.IsOn(time) == true;
            }
        }
    }

    /// <summary>Who leads, as far as we saw; empty: nobody.</summary>
    public string Holder => Volatile.Read(ref _holder);

    /// <summary>Since the lease was last seen renewed, by whomever; null before it was seen at all.</summary>
    public TimeSpan? Age => Interlocked.Read(ref _renewed) is > 0 and var at ? time.GetElapsedTime(at) : null;

    /// <summary>How often this replica began to lead.</summary>
    public int Terms { get; private set; }

    /// <summary>Waits until this replica leads.</summary>
    /// <returns>Cancelled when it leads no more.</returns>
    public async Task<CancellationToken> TermAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task<Term> next;
            lock (_lock)
            {
                if (_term?.IsOn(time) == true)
                {
                    return _term.Token;
                }

                next = _next.Task;
            }

            var term = await next.WaitAsync(cancellationToken);
            if (term.IsOn(time))
            {
                return term.Token;
            }
        }
    }

    /// <summary>Whoever acts as the leader says so: the lease is not given away under it.</summary>
    public IDisposable Act()
    {
        Interlocked.Increment(ref _acting);
        return new Acting(this);
    }

    /// <summary>Leads no more, waits for at most 2 s for those who act, and gives the lease away so that another can begin at once.</summary>
    public async Task StepDownAsync()
    {
        await StopAsync(CancellationToken.None);
        End("it stops");
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2), time);
        while (Volatile.Read(ref _acting) > 0 && !limit.IsCancellationRequested)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(10), time, CancellationToken.None);
        }

        if (_held is null || _steppedDown)
        {
            return;
        }

        _steppedDown = true;
        try
        {
            using var once = new CancellationTokenSource(TimeSpan.FromSeconds(2), time);
            // Read anew: a renewal may have arrived whose answer did not.
            if (await api.GetAsync(Path, once.Token) is { } lease && LeaseRecord.Read(lease) is var record && record.Holder == options.Identity)
            {
                var now = LeaseRecord.MicroTime(time.GetUtcNow());
                await api.ReplaceAsync(Path, (record with { Holder = string.Empty, DurationSeconds = 1, Acquired = now, Renewed = now }).WriteTo(lease), once.Token);
                Log.Released(logger, options.Name);
            }
        }
        catch (Exception e) when (e is KubeApiException or OperationCanceledException)
        {
            // It ends by itself.
            Log.NotReleased(logger, options.Name, e.Message);
        }
    }

    public override void Dispose()
    {
        base.Dispose();
        End("it stops");
        _next.TrySetCanceled();
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            using (var limit = new CancellationTokenSource(options.Timeout, time))
            using (var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stoppingToken))
            {
                try
                {
                    await TryAsync(either.Token);
                    _said = null;
                }
                catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
                {
                    return;
                }
                catch (Exception e) when (e is KubeApiException or OperationCanceledException or JsonException or InvalidOperationException)
                {
                    Say(e is OperationCanceledException ? $"no answer within {options.Timeout.TotalSeconds:0} s" : e.Message);
                }
            }

            await Task.Delay(options.Retry * (1 + (0.2 * random.NextDouble())), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task TryAsync(CancellationToken cancellationToken)
    {
        // Before it is sent: when it arrives is not known.
        var until = new Appointment(time, options.RenewDeadline);
        if (IsLeader && _held is not null)
        {
            try
            {
                Took(await api.ReplaceAsync(Path, Renewal(_held).WriteTo(_held), cancellationToken), until);
                return;
            }
            catch (KubeApiException e) when (e.IsConflict || e.IsNotFound)
            {
                // Somebody wrote it; who leads now stands in it.
            }
        }

        var lease = await api.GetAsync(Path, cancellationToken);
        if (lease is null)
        {
            lease = new JsonObject { ["apiVersion"] = "coordination.k8s.io/v1", ["kind"] = "Lease", ["metadata"] = new JsonObject { ["name"] = options.Name, ["namespace"] = options.Namespace } };
            await WriteAsync(() => api.CreateAsync(_list, Taking(LeaseRecord.Read(lease)).WriteTo(lease), cancellationToken), until);
            return;
        }

        var record = Observe(lease);
        if (record.Holder == options.Identity)
        {
            // A renewal whose answer was lost, for one.
            await WriteAsync(() => api.ReplaceAsync(Path, Renewal(lease).WriteTo(lease), cancellationToken), until);
            return;
        }

        End($"'{record.Holder}' does");
        _held = null;
        if (record.Holder.Length == 0 || _over.Left(time) <= TimeSpan.Zero)
        {
            await WriteAsync(() => api.ReplaceAsync(Path, Taking(record).WriteTo(lease), cancellationToken), until);
        }
    }

    private async Task WriteAsync(Func<Task<JsonObject>> write, Appointment until)
    {
        try
        {
            Took(await write(), until);
        }
        catch (KubeApiException e) when (e.Status is HttpStatusCode.Conflict or HttpStatusCode.NotFound)
        {
            // Another was faster.
        }
    }

    private LeaseRecord Renewal(JsonObject lease) => LeaseRecord.Read(lease) with { DurationSeconds = (int)options.Duration.TotalSeconds, Renewed = LeaseRecord.MicroTime(time.GetUtcNow()) };

    private LeaseRecord Taking(LeaseRecord before)
    {
        var now = LeaseRecord.MicroTime(time.GetUtcNow());
        return new LeaseRecord(options.Identity, (int)options.Duration.TotalSeconds, now, now, before.Renewed is null ? 0 : before.Transitions + 1);
    }

    private LeaseRecord Observe(JsonObject lease)
    {
        var record = LeaseRecord.Read(lease);
        var seen = $"{record} {WatchedObjects.VersionOf(lease)}";
        if (seen != _seen)
        {
            _seen = seen;
            _over = new Appointment(time, record.DurationSeconds > 0 ? TimeSpan.FromSeconds(record.DurationSeconds) : options.Duration);
            Interlocked.Exchange(ref _renewed, time.GetTimestamp());
        }

        Volatile.Write(ref _holder, record.Holder);
        return record;
    }

    private void Took(JsonObject lease, Appointment until)
    {
        _held = lease;
        Observe(lease);
        Term began;
        Term? stale;
        lock (_lock)
        {
            if (_term?.IsOn(time) == true)
            {
                _term.Extend(until, time);
                return;
            }

            if (until.Left(time) <= TimeSpan.Zero)
            {
                // The answer took too long.
                return;
            }

            stale = _term;
            _term = began = new Term(until, time);
            Terms++;
            _next.TrySetResult(began);
            _next = new TaskCompletionSource<Term>(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        stale?.End();
        Log.Leads(logger, options.Identity, LeaseRecord.Read(lease).Transitions);
        began.Token.Register(() => Log.LeadsNoMore(logger, options.Identity));
    }

    private void End(string why)
    {
        Term? ended;
        lock (_lock)
        {
            (ended, _term) = (_term, null);
        }

        if (ended?.End() == true)
        {
            Log.Ended(logger, why);
        }
    }

    private void Say(string problem)
    {
        if (problem != _said)
        {
            _said = problem;
            Log.TryFailed(logger, options.Name, problem);
        }
    }

    private sealed class Acting(LeaderLease lease) : IDisposable
    {
        private int _over;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _over, 1) == 0)
            {
                Interlocked.Decrement(ref lease._acting);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(5210, LogLevel.Information, "This replica leads ('{Identity}', {Transitions} changes before): it writes status and roots from now on", EventName = nameof(Leads))]
        public static partial void Leads(ILogger logger, string identity, int transitions);

        [LoggerMessage(5211, LogLevel.Information, "This replica ('{Identity}') leads no more", EventName = nameof(LeadsNoMore))]
        public static partial void LeadsNoMore(ILogger logger, string identity);

        [LoggerMessage(5212, LogLevel.Information, "Leading ended: {Why}", EventName = nameof(Ended))]
        public static partial void Ended(ILogger logger, string why);

        [LoggerMessage(5213, LogLevel.Warning, "Lease '{Lease}' could not be read or written; it is tried again every 2 s. {Problem}", EventName = nameof(TryFailed))]
        public static partial void TryFailed(ILogger logger, string lease, string problem);

        [LoggerMessage(5214, LogLevel.Information, "Lease '{Lease}' was given away", EventName = nameof(Released))]
        public static partial void Released(ILogger logger, string lease);

        [LoggerMessage(5215, LogLevel.Warning, "Lease '{Lease}' could not be given away and ends by itself. {Problem}", EventName = nameof(NotReleased))]
        public static partial void NotReleased(ILogger logger, string lease, string problem);
    }

    /// <summary>One time of leading. Thread-safe.</summary>
    private sealed class Term
    {
        private readonly CancellationTokenSource _source = new();
        private readonly ITimer _timer;
        private readonly TimeProvider _time;
        private readonly Lock _lock = new();
        private Appointment _until;

        public Term(Appointment until, TimeProvider time)
        {
            (_until, _time) = (until, time);
            Token = _source.Token;
            _timer = time.CreateTimer(_ => Check(), null, After(until), Timeout.InfiniteTimeSpan);
        }

        public CancellationToken Token { get; }

        public bool IsOn(TimeProvider time)
        {
            lock (_lock)
            {
                return !_source.IsCancellationRequested && _until.Left(time) > TimeSpan.Zero;
            }
        }

        public void Extend(Appointment until, TimeProvider time)
        {
            lock (_lock)
            {
                _until = until;
                _timer.Change(After(until), Timeout.InfiniteTimeSpan);
            }
        }

        /// <returns>False when it had ended already.</returns>
        public bool End()
        {
            lock (_lock)
            {
                if (_source.IsCancellationRequested)
                {
                    return false;
                }

                _timer.Dispose();
            }

            _source.Cancel();
            return true;
        }

        private TimeSpan After(Appointment until) => until.Left(_time) is var left && left > TimeSpan.Zero ? left : TimeSpan.Zero;

        private void Check()
        {
            lock (_lock)
            {
                if (_until.Left(_time) > TimeSpan.Zero)
                {
                    _timer.Change(After(_until), Timeout.InfiniteTimeSpan);
                    return;
                }
            }

            End();
        }
    }
}
