using Mesh.Concurrency;
using Mesh.Hosting;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.Logging;

namespace Mesh.Xds;

/// <summary>Keeps the cache of the resources asked for equal to what the control plane says, over one stream at a time.</summary>
/// <remarks>All state is owned by one <see cref="SerialLoop"/>; what is marked "loop" may be called only from work posted to it.
/// Connectivity never deletes what is cached (gRFC A57).</remarks>
internal sealed partial class XdsClient : IAsyncDisposable
{
    /// <summary>A stream that stood so long was good although nothing new was said on it: there is no reason to wait longer and longer for the next.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(5);

    private static readonly string[] Types =
        [XdsTypes.Cluster, XdsTypes.ClusterLoadAssignment, XdsTypes.Listener, XdsTypes.RouteConfiguration, XdsTypes.LeafPolicy, XdsTypes.TrustBundle];

    private readonly IAdsConnector _connector;
    private readonly XdsNode _node;
    private readonly AdsVariant _variant;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger _logger;
    private readonly Action _onChanged;
    private readonly XdsMetrics? _metrics;
    private readonly SerialLoop _loop;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Dictionary<string, XdsTypeState> _types;
    private IAdsStream? _stream;
    private string? _unreachable;
    private bool _changed;
    private Task _running = Task.CompletedTask;
    private int _disposed;

    /// <param name="onChanged">Called on the loop after each step that changed an answer; the next response is read after it returned.</param>
    /// <param name="metrics">Null counts nothing.</param>
    public XdsClient(
        IAdsConnector connector, XdsNode node, AdsVariant variant, TimeProvider time, Random random, ILogger logger, Action onChanged, XdsMetrics? metrics = null)
    {
        (_connector, _node, _variant, _time, _random, _logger, _onChanged, _metrics) = (connector, node, variant, time, random, logger, onChanged, metrics);
        _types = Types.ToDictionary(url => url, url => new XdsTypeState(url), StringComparer.Ordinal);
        _loop = new SerialLoop(e => Log.LoopFailed(_logger, e));
    }

    /// <summary>Begins to connect. Never blocks.</summary>
    public void Start()
    {
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(RunAsync);
        }
    }

    /// <summary>Queues work on the loop; changes of answers are told after it.</summary>
    public void Post(Action work) => _loop.Post(() =>
    {
        work();
        TellChanges();
    });

    /// <summary>Loop: what is known of a resource.</summary>
    public XdsAnswer Get(string typeUrl, string name)
    {
        var resource = _types[typeUrl].Resources.GetValueOrDefault(name);
        return resource switch
        {
            { Model: { } model } => new(XdsAnswerKind.Found, model, string.Empty),
            { Status: XdsResourceStatus.DoesNotExist } => new(XdsAnswerKind.DoesNotExist, null, resource.Error),
            { Status: XdsResourceStatus.Nacked or XdsResourceStatus.ReceivedError } => new(XdsAnswerKind.Failed, null, resource.Error),
            _ => _unreachable is null ? XdsAnswer.Pending : new(XdsAnswerKind.Unreachable, null, _unreachable),
        };
    }

    /// <summary>Loop: makes <paramref name="names"/> the resources of this type that are wanted. What is no longer wanted is forgotten.</summary>
    public void SetSubscription(string typeUrl, IReadOnlySet<string> names)
    {
        var type = _types[typeUrl];
        List<string> removed = [.. type.Resources.Keys.Where(name => !names.Contains(name))];
        List<string> added = [.. names.Where(name => !type.Resources.ContainsKey(name))];
        if (removed.Count == 0 && added.Count == 0)
        {
            return;
        }

        foreach (var name in removed)
        {
            type.Resources[name].StopTimer();
            type.Resources.Remove(name);
        }

        foreach (var name in added)
        {
            type.Resources.Add(name, new XdsResource(name));
        }

        if (_stream is not null)
        {
            // Not yet named on this stream and nothing to name: an empty list would ask for everything.
            if (type.NamedOnStream || type.Resources.Count > 0)
            {
                _stream.Send(type.Subscribe(added, removed));
            }
        }
    }

    /// <summary>Everything held, for the configuration dump.</summary>
    public Task<IReadOnlyList<XdsResourceDump>> DumpAsync()
    {
        var answer = new TaskCompletionSource<IReadOnlyList<XdsResourceDump>>(TaskCreationOptions.RunContinuationsAsynchronously);
        var posted = _loop.Post(() => answer.SetResult([.. _types.Values.SelectMany(type => type.Resources.Values.Select(r => new XdsResourceDump(
            type.Url, r.Name, r.Status, r.Version, r.Bytes, r.LastUpdated, r.Error, r.ErrorVersion, r.Timer is not null)))]));
        return posted ? answer.Task : Task.FromResult<IReadOnlyList<XdsResourceDump>>([]);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 1)
        {
            return;
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        await _loop.DisposeAsync().ConfigureAwait(false);
        foreach (var resource in _types.Values.SelectMany(t => t.Resources.Values))
        {
            resource.StopTimer();
        }

        _stopping.Dispose();
    }

    private async Task RunAsync()
    {
        var backoff = new Backoff(_random);
        while (!_stopping.IsCancellationRequested)
        {
            var (answered, reason) = await RunStreamAsync(backoff).ConfigureAwait(false);
            if (_stopping.IsCancellationRequested)
            {
                return;
            }

            // gRFC A57 reconnects at once after a stream that answered. A restarted control plane would then meet all its
            // clients in one instant, so each waits a random part of a second first.
            var wait = answered ? TimeSpan.FromSeconds(_random.NextDouble()) : backoff.Next();
            await OnLoopAsync(() => StreamLost(answered, reason, wait)).ConfigureAwait(false);
            await Task.Delay(wait, _time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<(bool Answered, string Reason)> RunStreamAsync(Backoff backoff)
    {
        var answered = false;
        long? opened = null;
        try
        {
            var invoker = await _connector.ConnectAsync(_stopping.Token).ConfigureAwait(false);
            IAdsStream? stream = null;
            stream = AdsStream.Open(invoker, _variant, _node, request => _loop.Post(() => Sent(stream, request)), _stopping.Token);
            await using (stream.ConfigureAwait(false))
            {
                opened = _time.GetTimestamp();
                await OnLoopAsync(() => StreamOpened(stream)).ConfigureAwait(false);
                while (await stream.ReceiveAsync(_stopping.Token).ConfigureAwait(false) is { } response)
                {
                    answered = true;
                    backoff.Reset();

                    // Flow control: the next message is read when this one has been worked on to the end.
                    await OnLoopAsync(() => Respond(stream, response)).ConfigureAwait(false);
                }
            }

            return (answered, "the control plane ended the stream");
        }
        catch (Grpc.Core.RpcException e)
        {
            return (answered, $"{e.StatusCode}: {e.Status.Detail}");
        }
        catch (Exception e)
        {
            // The connector may fail in any way (files, certificates, names); none may end the loop.
            return (answered, e.Message);
        }
        finally
        {
            if (opened is { } at && _time.GetElapsedTime(at) >= Quiet)
            {
                backoff.Reset();
            }
        }
    }

    private async Task OnLoopAsync(Action work)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var posted = _loop.Post(() =>
        {
            try
            {
                work();
                TellChanges();
            }
            finally
            {
                done.SetResult();
            }
        });
        if (posted)
        {
            await done.Task.ConfigureAwait(false);
        }
    }

    private void TellChanges()
    {
        if (_changed)
        {
            _changed = false;
            _onChanged();
        }

        _metrics?.Hold(_types.Values);
    }

    private void StreamOpened(IAdsStream stream)
    {
        _stream = stream;
        _metrics?.Opened();
        Log.StreamOpened(_logger, _node.Id, _variant);
        foreach (var type in _types.Values)
        {
            type.StreamOpened();
            if (type.Resources.Count > 0)
            {
                stream.Send(type.First());
            }
        }
    }

    private void StreamLost(bool answered, string reason, TimeSpan wait)
    {
        _stream = null;
        _metrics?.Lost(answered);
        foreach (var resource in _types.Values.SelectMany(t => t.Resources.Values))
        {
            resource.StopTimer();
        }

        if (answered)
        {
            Log.StreamEnded(_logger, _node.Id, reason, wait);
            return;
        }

        Log.StreamFailed(_logger, _node.Id, reason, wait);
        _unreachable = $"The control plane cannot be reached: {reason} (node '{_node.Id}')";
        _changed = true;
    }
}
