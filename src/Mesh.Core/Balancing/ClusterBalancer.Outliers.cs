namespace Mesh.Balancing;

/// <summary>Who sits out.</summary>
internal sealed partial class ClusterBalancer : IDisposable
{
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
    public void Dispose() => _outliers.Stop();

    private void Ejected(Ejection ejection)
    {
        ejection.Endpoint.EjectedFor = ejection.Reason;
        Log.EndpointEjected(logger, ejection.Endpoint.Config.HostPort, name, ejection.Time.TotalSeconds, ejection.Reason, ejection.Detail);
        ejected?.Invoke(ejection);
    }
}
