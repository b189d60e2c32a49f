using System.Globalization;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Injector;

/// <summary>Writes events to the API server, one after the other; what was said of an object in the last ten minutes is not said again. Thread-safe.</summary>
internal sealed partial class KubeEvents : IEventSink, IAsyncDisposable
{
    private const string Component = Annotations.Domain + "/injector";
    private const int MostWaiting = 256;
    private const int MostRemembered = 1024;

    /// <summary>What the API server takes.</summary>
    private const int MostOfAMessage = 1024;
    private static readonly TimeSpan Quiet = TimeSpan.FromMinutes(10);

    private readonly Channel<(EventSubject About, string Reason, string Message)> _waiting =
        Channel.CreateBounded<(EventSubject, string, string)>(new BoundedChannelOptions(MostWaiting) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    private readonly CancellationTokenSource _stop = new();
    private readonly KubeApi _api;
    private readonly string _instance;
    private readonly TimeProvider _time;
    private readonly ILogger<KubeEvents> _logger;
    private readonly Task _loop;

    /// <param name="instance">Which replica says it.</param>
    public KubeEvents(KubeApi api, string instance, TimeProvider time, ILogger<KubeEvents> logger)
    {
        (_api, _instance, _time, _logger) = (api, instance, time, logger);
        using (ExecutionContext.SuppressFlow())
        {
            _loop = Task.Run(LoopAsync);
        }
    }

    public void Report(EventSubject about, string reason, string message) => _waiting.Writer.TryWrite((about, reason, message));

    public async ValueTask DisposeAsync()
    {
        _waiting.Writer.TryComplete();
        await _stop.CancelAsync();
        await _loop;
        _stop.Dispose();
    }

    private async Task LoopAsync()
    {
        var said = new Dictionary<(EventSubject, string, string), DateTimeOffset>();
        try
        {
            await foreach (var one in _waiting.Reader.ReadAllAsync(_stop.Token))
            {
                var now = _time.GetUtcNow();
                if (said.TryGetValue(one, out var last) && now - last < Quiet)
                {
                    continue;
                }

                if (said.Count >= MostRemembered)
                {
                    said.Clear();
                }

                said[one] = now;
                await WriteAsync(one.About, one.Reason, one.Message, now);
            }
        }
        catch (OperationCanceledException)
        {
            // The control plane stops.
        }
    }

    private async Task WriteAsync(EventSubject about, string reason, string message, DateTimeOffset now)
    {
        try
        {
            await _api.CreateAsync($"/api/v1/namespaces/{Uri.EscapeDataString(about.Namespace)}/events", Event(about, reason, message, now), _stop.Token);
        }
        catch (KubeApiException e)
        {
            Log.EventLost(_logger, reason, about.Kind, about.Namespace, about.Name, e.Message);
        }
    }

    private JsonObject Event(EventSubject about, string reason, string message, DateTimeOffset now)
    {
        var at = now.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
        var involved = new JsonObject { ["apiVersion"] = about.ApiVersion, ["kind"] = about.Kind, ["namespace"] = about.Namespace, ["name"] = about.Name };
        if (about.Uid is not null)
        {
            involved["uid"] = about.Uid;
        }

        return new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Event",
            ["metadata"] = new JsonObject { ["generateName"] = $"{about.Name}.", ["namespace"] = about.Namespace },
            ["involvedObject"] = involved,
            ["type"] = "Warning",
            ["reason"] = reason,
            ["message"] = message.Length <= MostOfAMessage ? message : message[..(MostOfAMessage - 1)] + '…',
            ["count"] = 1,
            ["firstTimestamp"] = at,
            ["lastTimestamp"] = at,
            ["source"] = new JsonObject { ["component"] = Component },
            ["reportingComponent"] = Component,
            ["reportingInstance"] = _instance,
        };
    }

    private static partial class Log
    {
        [LoggerMessage(5310, LogLevel.Warning, "The event {Reason} about {Kind} {Namespace}/{Name} could not be written: {Problem}", EventName = nameof(EventLost))]
        public static partial void EventLost(ILogger logger, string reason, string kind, string @namespace, string name, string problem);
    }
}
