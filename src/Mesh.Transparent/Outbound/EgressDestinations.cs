using System.Collections.Concurrent;
using System.Net;
using Mesh.Outbound;
using Mesh.Telemetry;
using Mesh.Transparent.Forwarding;

namespace Mesh.Transparent.Outbound;

/// <summary>What is called outside of the mesh: by name on the graph, by address on the wire. Thread-safe.</summary>
internal sealed class EgressDestinations : IDisposable
{
    /// <summary>More names than this share one.</summary>
    public const int MaxNames = 200;

    private const string Others = "other";
    private readonly ConcurrentDictionary<string, Destination> _names = new(StringComparer.OrdinalIgnoreCase);
    private readonly OutboundSettings _settings;
    private readonly MetricAggregate _aggregate;
    private readonly EgressMode _mode;
    private readonly TimeProvider _time;
    private readonly SocketsHttpHandler _handler;

    public EgressDestinations(OutboundSettings settings, MetricAggregate aggregate, EgressMode mode, TimeProvider time)
    {
        (_settings, _aggregate, _mode, _time) = (settings, aggregate, mode, time);
        _handler = AppHttp.Create();
    }

    /// <param name="name">A host, a server name, or an address with port.</param>
    public Destination For(string name)
    {
        name = _names.Count < MaxNames || _names.ContainsKey(name) ? name : Others;
        return _names.GetOrAdd(name, n => new Destination(n, string.Empty, _settings.Source, _settings.SourceNamespace, _aggregate));
    }

    /// <summary>Sends to one address, whatever the host in the request; answers 403 where nothing may leave the mesh.</summary>
    public EgressInvoker InvokerFor(IPEndPoint destination) => new(_handler, destination, this, _mode, _time);

    public void Dispose() => _handler.Dispose();
}

/// <summary>Sends requests as they are to the address that the app dialled; records them.</summary>
#pragma warning disable CA2000 // the handler is the destinations'
internal sealed class EgressInvoker(HttpMessageHandler handler, IPEndPoint destination, EgressDestinations names, EgressMode mode, TimeProvider time) : HttpMessageInvoker(handler, disposeHandler: false)
#pragma warning restore CA2000
{
    public override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (mode == EgressMode.Deny)
        {
            return ProxyErrors.Response(request, ProxyError.Forbidden);
        }

        var series = names.For(request.RequestUri!.Host);
        var start = time.GetTimestamp();
        AppHttp.Address(request, destination);
        try
        {
            var response = await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
            series.Unrouted.RecordCall(time.GetElapsedTime(start), (int)response.StatusCode >= 500 ? Verdict.Failure : Verdict.Success, mesh: false);
            return response;
        }
        catch (Exception)
        {
            series.Unrouted.RecordCall(time.GetElapsedTime(start), cancellationToken.IsCancellationRequested ? Verdict.Cancelled : Verdict.Failure, mesh: false);
            throw;
        }
    }
}
