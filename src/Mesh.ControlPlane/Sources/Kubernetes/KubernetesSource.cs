using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Mesh.Concurrency;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Sources.Kubernetes;

/// <summary>Brings the objects of a Kubernetes cluster into the model, and follows their changes.</summary>
/// <remarks>
/// An informer for each kind reads objects as they come; one loop makes models of what they know, when the changes pause or have waited long enough, never for each.
/// What can't be read leaves its last good version in force, and so does an API server that can't be heard.
/// </remarks>
internal sealed partial class KubernetesSource : IModelSource, IWatchedSource
{
    private readonly KubernetesSourceOptions _options;
    private readonly ModelStore _store;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SerialLoop _loop;
    private readonly ModelPublisher _publisher;
    private readonly Debounce _debounce;
    private readonly ImmutableArray<Informer<ManifestFile>> _informers;
    private readonly Informer<object> _definitions;
    private volatile bool _started;

    public KubernetesSource(
        KubernetesSourceOptions options, KubeApi api, IMeshMarks marks, ModelStore store, TimeProvider time, Random random, ILogger logger, IHostNameResolver? resolver = null)
    {
        (_options, _store, _time, _logger) = (options, store, time, logger);
        _loop = new SerialLoop(e => Log.StepFailed(logger, e));
        _debounce = new Debounce(options.Quiet, options.LongestWait, time, () => _loop.Post(Publish));
        _publisher = new ModelPublisher(options.TrustDomain, options.ResolveInterval, marks, store, time, logger, resolver ?? new SystemHostNameResolver(), inMotion: true, Changed);
        _informers = [.. WatchedKinds.All.Select(kind => new Informer<ManifestFile>(
            new InformerSource<ManifestFile>(api, kind.Kind, cancellation => ResourceDiscovery.FindAsync(api, kind, cancellation), (json, resource, before) => Read(kind, json, resource, before))
            {
                MetadataOnly = kind.MetadataOnly,
            }, Changed, time, random, logger))];

        // When a CRD is installed the kinds that were missing are looked for at once. Without the right to see CRDs they are found by looking now and then.
        _definitions = new Informer<object>(
            new InformerSource<object>(api, "CustomResourceDefinition", _ => Task.FromResult<KubeResource?>(new KubeResource("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions")), (_, _, _) => new object())
            {
                MetadataOnly = true,
            }, LookForKinds, time, random, logger);
    }

    /// <inheritdoc/>
    public IReadOnlyList<KindState> Kinds => [.. _informers.Select(i => i.State)];

    /// <summary>Publishes the first model when all kinds that exist are known, however long that takes; then follows changes.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await Task.WhenAll(_informers.Select(i => i.Synced)).WaitAsync(cancellationToken);
        var loaded = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _loop.Post(async () =>
        {
            try
            {
                await _publisher.LookUpAsync(InForce());
                _started = true;
                Publish();
                loaded.SetResult();
            }
            catch (Exception e)
            {
                loaded.SetException(e);
            }
        });
        await loaded.Task.WaitAsync(cancellationToken);
        _publisher.Start();
        // What changed between the publication and now.
        Changed();
    }

    /// <summary>Applies the mesh marks again and publishes, soon after it returns.</summary>
    public void Refresh() => Changed();

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_informers.Select(i => i.DisposeAsync().AsTask()).Append(_definitions.DisposeAsync().AsTask()));
        await _debounce.DisposeAsync();
        await _publisher.StopAsync();
        await _loop.DisposeAsync();
        await _publisher.DisposeAsync();
    }

    private void Changed()
    {
        if (_started)
        {
            _debounce.Ask();
        }
    }

    private void LookForKinds()
    {
        foreach (var informer in _informers.IsDefault ? [] : _informers)
        {
            if (!informer.State.Exists)
            {
                informer.Notice();
            }
        }
    }

    private void Publish()
    {
        var started = _time.GetTimestamp();
        var before = _store.Current;
        var model = _publisher.Publish(InForce());
        var took = _time.GetElapsedTime(started);
        _debounce.Took(took);
        if (ReferenceEquals(before, MeshModel.Empty) || before.Services.Count != model.Services.Count || Routes(before) != Routes(model) || before.Problems.Length != model.Problems.Length)
        {
            var routes = Routes(model);
            Log.ModelPublished(_logger, model.Services.Count, routes, model.Workloads.Length, model.Problems.Length, took);
        }
    }

    /// <summary>In an order that does not depend on when they came.</summary>
    private List<ManifestFile> InForce() => [.. _informers.SelectMany(i => i.Objects)];

    private ManifestFile Read(WatchedKind kind, JsonObject json, KubeResource resource, ManifestFile? before)
    {
        var meta = json["metadata"] as JsonObject;
        var (ns, name) = ((string?)meta?["namespace"] ?? string.Empty, (string?)meta?["name"] ?? string.Empty);
        var where = ns.Length == 0 ? $"{kind.Kind.ToLowerInvariant()}/{name}" : $"{kind.Kind.ToLowerInvariant()}/{ns}/{name}";
        var generation = meta?["generation"]?.GetValueKind() == System.Text.Json.JsonValueKind.Number ? meta["generation"]!.GetValue<long>() : 0;
        var origin = kind.IsCore ? null : new ObjectOrigin(resource.PathOf(ns, name), generation);
        try
        {
            var read = ManifestFile.ReadObject(where, kind.Kind, json, kind.IsCore, origin, before);
            return before is not null && Same(before, read) ? before : read;
        }
        catch (Exception e)
        {
            // A defect of a reader must not keep others from being read.
            Log.ObjectUnreadable(_logger, e, where);
            return ManifestFile.Unread(where, new SourceProblem(where, $"The object can't be read: {e.Message}"), before) with { Origin = origin };
        }
    }

    /// <summary>Most changes of Pods and Nodes (heartbeats, status) are none of ours.</summary>
    private static bool Same(ManifestFile before, ManifestFile read) =>
        before.Origin == read.Origin && before.Problems.IsEmpty && read.Problems.IsEmpty && before.Objects is [var old] && read.Objects is [var now] && ManifestEquality.Same(old, now);

    private static int Routes(MeshModel model) => model.Routes.Length + model.ConnectionRoutes.Length;
}
