using Mesh.Resilience;
using Mesh.Traffic;

namespace Mesh.Outbound;

/// <summary>What the pipeline does with a name that is new.</summary>
internal sealed partial class OutboundPipeline
{
    /// <summary>Whether calls to this host are the mesh's; a new name is asked for, and waited for as a call would.</summary>
    public ValueTask<HostAnswer> ResolveAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.RequestUri is not { IsAbsoluteUri: true } uri)
        {
            return new(new HostAnswer(false));
        }

        var key = ListenerKey.Of(uri);
        return tables.Current.Find(key) switch
        {
            { Host: not null } => new(new HostAnswer(true)),
            { PassesThrough: true } => new(new HostAnswer(false)),
            null when !ServiceNames.CanBeService(uri, settings.ClusterDomain) => new(new HostAnswer(false)),
            _ => new(AskHostAsync(request, key, cancellationToken)),
        };
    }

    /// <summary>What is known of an address that somebody dialled; asks for a new one, and waits for the answer at most 10 s.</summary>
    public ValueTask<DialledAddress> ResolveAsync(ListenerKey destination, CancellationToken cancellationToken)
    {
        var found = tables.Current.Find(destination);
        found?.Name?.MarkUsed();
        return found switch
        {
            { PassesThrough: true } => new(new DialledAddress(null)),
            { Unavailable: null } listener => new(new DialledAddress(listener)),
            _ => new(AskAddressAsync(destination, cancellationToken)),
        };
    }

    /// <summary>Calls to this host are known to be the mesh's.</summary>
    public bool IsMeshed(Uri uri) => tables.Current.Find(ListenerKey.Of(uri)) is { Host: not null };

    /// <summary>The name is new: asks, then sends where it belongs.</summary>
    private async Task<HttpResponseMessage> AskAsync(HttpRequestMessage request, ListenerKey key, HttpMessageInvoker passThrough, CallLimits? limits, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        var (listener, refusal) = await AskNameAsync(request, key, limits, cancellationToken).ConfigureAwait(false);
        if (refusal is not null)
        {
            return refusal;
        }

        return listener is null
            ? await passThrough.SendAsync(request, cancellationToken).ConfigureAwait(false)
            : await StartAsync(request, listener, start, limits, cancellationToken).ConfigureAwait(false);
    }

    private async Task<HostAnswer> AskHostAsync(HttpRequestMessage request, ListenerKey key, CancellationToken cancellationToken)
    {
        var (listener, refusal) = await AskNameAsync(request, key, limits: null, cancellationToken).ConfigureAwait(false);
        return new HostAnswer(listener is not null, refusal);
    }

    private async Task<DialledAddress> AskAddressAsync(ListenerKey key, CancellationToken cancellationToken)
    {
        var (listener, why, _) = await AskKeyAsync(key, limits: null, cancellationToken).ConfigureAwait(false);
        return new DialledAddress(listener, why);
    }

    private async Task<(OutboundListener? Listener, HttpResponseMessage? Refusal)> AskNameAsync(HttpRequestMessage request, ListenerKey key, CallLimits? limits, CancellationToken cancellationToken)
    {
        var (listener, why, code) = await AskKeyAsync(key, limits, cancellationToken).ConfigureAwait(false);
        return (listener, why is null ? null : Unknown(request, why, code));
    }

    /// <summary>Asks, and waits as long as the call may, at most 10 s (contracts §5). No listener and no reason why not: the name is none of the mesh's.</summary>
    private async Task<(OutboundListener? Listener, string? Why, MeshErrorCode Code)> AskKeyAsync(ListenerKey key, CallLimits? limits, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var deadline = Deadline.Current;
        var patience = limits?.Timeout < settings.ReadyTimeout ? limits.Timeout.Value : settings.ReadyTimeout;
        patience = deadline is not null && deadline.Left < patience ? TimeSpan.FromTicks(Math.Max(0, deadline.Left.Ticks)) : patience;
        OutboundListener? listener;
        switch (tables.Names.Enter(key, ServiceNames.IsServiceForCertain(key.Host, settings.ClusterDomain), out var name))
        {
            case AskResult.PassOn:
                return default;
            case AskResult.Refused:
                return (null, $"'{key.Name}' was not asked for: {AskedNames.MaxServices} services are in use, which is the limit. Unused ones are forgotten after {AskedNames.KeepServices.TotalMinutes:0} minutes.", MeshErrorCode.NoConfiguration);
        }

        try
        {
            listener = await tables.WaitForAsync(key, patience, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            tables.Names.Leave(name!);
        }

        if (listener is { PassesThrough: true })
        {
            return default;
        }

        if (listener is { Unavailable: null })
        {
            return (listener, null, default);
        }

        var why = listener?.Unavailable ?? "the control plane has not answered; check its address, and that this workload got its certificate";
        return (null,
            $"No configuration for '{key.Name}' within {patience.TotalSeconds:0.#} s: {why}.",
            deadline is { IsOver: true } ? MeshErrorCode.DeadlineExceeded : MeshErrorCode.NoConfiguration);
    }

    private static HttpResponseMessage Unknown(HttpRequestMessage request, string detail, MeshErrorCode code) =>
        OutboundErrors.Respond(request, new HttpRequestMessageHead(request).IsGrpc, code, detail);
}

/// <summary>What an address that somebody dialled is to the mesh.</summary>
/// <param name="Listener">Null: none of the mesh's, or not known.</param>
/// <param name="Why">Not known: why not. Nothing may go there, for it could be a service of the mesh.</param>
internal readonly record struct DialledAddress(OutboundListener? Listener, string? Why = null);
