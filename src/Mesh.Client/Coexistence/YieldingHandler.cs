using Mesh.Outbound;

namespace Mesh.Client.Coexistence;

/// <summary>Stands around a handler that tries calls again. One that yields is gone past by calls to hosts in the mesh; one that can't is watched. Calls to other hosts go through it as before.</summary>
internal sealed class YieldingHandler : DelegatingHandler
{
    private static readonly HttpRequestOptionsKey<Sends> SendsKey = new("Mesh.Sends");
    private readonly OutboundPipeline _pipeline;
    private readonly Door _own;

    /// <param name="own">New: its way on is set here.</param>
    public YieldingHandler(OutboundPipeline pipeline, DelegatingHandler own)
    {
        _pipeline = pipeline;
        own.InnerHandler = new Onward(this);
        _own = new Door(own);
    }

    public bool Yields { get; set; }

    /// <summary>Told how often a call to a host in the mesh was sent, when that was more than once.</summary>
    public Action<int>? Multiplied { get; set; }

    /// <summary>What the handler shows of itself; null when it does not answer a probe at once.</summary>
    public ProbeRequest? Probe()
    {
        using var probe = new ProbeRequest();
        using var cancel = new CancellationTokenSource();
        try
        {
            var sent = _own.GoAsync(probe, cancel.Token);
            if (sent.IsCompletedSuccessfully)
            {
                return probe;
            }

            cancel.Cancel();
            // Its failure is expected, and nobody's.
            _ = sent.ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            return null;
        }
#pragma warning disable CA1031 // a handler of the app's own, met with a request that it does not expect: it is then none that we know
        catch (Exception)
#pragma warning restore CA1031
        {
            return null;
        }
    }

    /// <inheritdoc/>
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (!Yields)
        {
            return WatchAsync(request, cancellationToken);
        }

        var host = _pipeline.ResolveAsync(request, cancellationToken);
        return host.IsCompletedSuccessfully ? GoAsync(request, host.Result, cancellationToken) : WaitAsync(host, request, cancellationToken);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _own.Dispose();
        }

        base.Dispose(disposing);
    }

    private async Task<HttpResponseMessage> WaitAsync(ValueTask<HostAnswer> host, HttpRequestMessage request, CancellationToken cancellationToken) =>
        await GoAsync(request, await host.ConfigureAwait(false), cancellationToken).ConfigureAwait(false);

    private Task<HttpResponseMessage> GoAsync(HttpRequestMessage request, HostAnswer host, CancellationToken cancellationToken) =>
        host.Refusal is { } refusal ? Task.FromResult(refusal)
        : host.IsMeshed ? base.SendAsync(request, cancellationToken)
        : _own.GoAsync(request, cancellationToken);

    private async Task<HttpResponseMessage> WatchAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var sends = new Sends();
        request.Options.Set(SendsKey, sends);
        try
        {
            return await _own.GoAsync(request, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (Volatile.Read(ref sends.Count) is > 1 and var count && sends.To is { } uri && _pipeline.IsMeshed(uri))
            {
                Multiplied?.Invoke(count);
            }
        }
    }

    private Task<HttpResponseMessage> OnAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request is ProbeRequest probe)
        {
            return Task.FromResult(probe.Answer());
        }

        if (!Yields && request.Options.TryGetValue(SendsKey, out var sends))
        {
            sends.To = request.RequestUri;
            Interlocked.Increment(ref sends.Count);
        }

        return base.SendAsync(request, cancellationToken);
    }

    private sealed class Sends
    {
        public int Count;

        public Uri? To { get; set; }
    }

    /// <summary>Where the handler's own way goes on: behind this one, which the factory disposes of.</summary>
    private sealed class Onward(YieldingHandler owner) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => owner.OnAsync(request, cancellationToken);
    }

    /// <summary>Opens the protected way in.</summary>
    private sealed class Door(HttpMessageHandler handler) : DelegatingHandler(handler)
    {
        public Task<HttpResponseMessage> GoAsync(HttpRequestMessage request, CancellationToken cancellationToken) => SendAsync(request, cancellationToken);
    }
}
