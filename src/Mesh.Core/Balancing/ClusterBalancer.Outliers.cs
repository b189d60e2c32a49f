namespace Mesh.Balancing;

/// <summary>Who sits out.</summary>
internal sealed partial class ClusterBalancer : IDisposable
{
    // Timestamp after which nobody sits out: before it a pick must look, after it need not.
    private long _ejectionsUntil = long.MinValue;

    /// <summary>An attempt ended. True when that ejected the endpoint: its failures in a row were too many.</summary>
    public bool Report(BalancedEndpoint endpoint, bool failed, long now)
    {
        if (failed)
        {
            endpoint.Latency.Penalize(now);
        }

        return _outliers.Report(endpoint, failed, now);
    }

    /// <summary>The cluster is gone: nobody is judged any more. Picks of calls that still hold it go on.</summary>
    public void Dispose() => _outliers.Dispose();

    private void Ejected(Ejection ejection)
    {
        var until = ejection.Endpoint.EjectedUntil;
        var seen = Volatile.Read(ref _ejectionsUntil);
        while (until > seen && Interlocked.CompareExchange(ref _ejectionsUntil, until, seen) is var found && found != seen)
        {
            seen = found;
        }

        Log.EndpointEjected(logger, ejection.Endpoint.Config.HostPort, name, ejection.Time.TotalSeconds, ejection.Reason, ejection.Detail);
        ejected?.Invoke(ejection);
    }
}
