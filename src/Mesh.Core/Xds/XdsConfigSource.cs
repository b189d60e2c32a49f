using System.Collections.Concurrent;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.Logging;

namespace Mesh.Xds;

/// <summary>Brings complete snapshots in from a control plane: LDS → RDS → CDS → EDS.</summary>
/// <remarks>Thread-safe. Snapshots are published from the client's loop, one at a time.</remarks>
internal sealed partial class XdsConfigSource : IConfigSource, IAsyncDisposable
{
    private static readonly HashSet<string> LeafPolicyName = new(StringComparer.Ordinal) { "default" };

    private readonly ConcurrentDictionary<string, byte> _watched = new(StringComparer.Ordinal);
    private readonly XdsClient _client;
    private readonly ConfigAssembler _assembler;
    private readonly ILogger _logger;
    private readonly string? _trustDomain;
    private LeafPolicy? _leafPolicy;
    private TrustBundle? _trustBundle;
    private int _queued;

    /// <param name="trustDomain">Whose trust bundle is asked for; null asks for none.</param>
    /// <param name="metrics">Null counts nothing.</param>
    public XdsConfigSource(IAdsConnector connector, XdsNode node, AdsVariant variant, TimeProvider time, Random random, ILoggerFactory loggers, TrustDomain? trustDomain = null,
        XdsMetrics? metrics = null)
    {
        _logger = loggers.CreateLogger<XdsConfigSource>();
        _client = new XdsClient(connector, node, variant, time, random, loggers.CreateLogger<XdsClient>(), Assemble, metrics);
        _assembler = new ConfigAssembler(_client.Get);

        _trustDomain = trustDomain?.Name;

        // Always of interest; an answer is never waited for.
        _client.Post(() =>
        {
            _client.SetSubscription(XdsTypes.LeafPolicy, LeafPolicyName);
            if (_trustDomain is not null)
            {
                _client.SetSubscription(XdsTypes.TrustBundle, new HashSet<string>(StringComparer.Ordinal) { _trustDomain });
            }
        });
    }

    /// <inheritdoc/>
    public SnapshotStore Snapshots { get; } = new();

    /// <summary>The client, for the configuration dump.</summary>
    internal XdsClient Client => _client;

    /// <summary>Begins to connect. Never blocks; without a connection it goes on trying.</summary>
    public void Start() => _client.Start();

    /// <inheritdoc/>
    public void Watch(string listenerName)
    {
        if (_watched.TryAdd(listenerName, 0))
        {
            QueueAssemble();
        }
    }

    /// <inheritdoc/>
    public void Unwatch(string listenerName)
    {
        if (_watched.TryRemove(listenerName, out _))
        {
            QueueAssemble();
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _client.DisposeAsync();

    /// <summary>Many watches in a row cost one look.</summary>
    private void QueueAssemble()
    {
        if (Interlocked.Exchange(ref _queued, 1) == 0)
        {
            _client.Post(() =>
            {
                Volatile.Write(ref _queued, 0);
                Assemble();
            });
        }
    }

    /// <summary>Loop: asks for what is now wanted, and publishes when what is in use changed.</summary>
    private void Assemble()
    {
        var next = _assembler.Assemble(_watched.Keys);
        foreach (var (type, names) in next.Wanted)
        {
            _client.SetSubscription(type, names);
        }

        var leafPolicy = _client.Get(XdsTypes.LeafPolicy, "default").Model as LeafPolicy;
        // Trust that was told holds until other trust is told.
        var trustBundle = (_trustDomain is null ? null : _client.Get(XdsTypes.TrustBundle, _trustDomain).Model as TrustBundle) ?? _trustBundle;
        if (!next.Changed && leafPolicy == _leafPolicy && ReferenceEquals(trustBundle, _trustBundle))
        {
            return;
        }

        (_leafPolicy, _trustBundle) = (leafPolicy, trustBundle);
        var builder = new SnapshotBuilder { LeafPolicy = leafPolicy, TrustBundle = trustBundle };
        foreach (var (name, result) in next.Listeners)
        {
            builder.Add(name, result);
        }

        foreach (var (name, result) in next.Clusters)
        {
            builder.Add(name, result);
        }

        var snapshot = builder.Build();
        Log.Published(_logger, snapshot.Listeners.Count, snapshot.Clusters.Count);
        Snapshots.Publish(snapshot);
    }
}
