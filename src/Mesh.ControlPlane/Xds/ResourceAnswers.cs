using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Security.Cryptography;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Translation;
using Mesh.Protos.Identity;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Xds;

/// <summary>Translates, checks and serialises each resource once, whoever asks, and again only when what it rests on changed. Thread-safe.</summary>
internal sealed partial class ResourceAnswers
{
    // Bounds what hostile subscriptions can make us keep; beyond it answers are made anew each time.
    private const int MaxKept = 100_000;

    private readonly IResourceTranslator _translator;
    private readonly OutgoingCheck _check;
    private readonly LeafPolicyStore _leafPolicy;
    private readonly TrustBundleStore _trust;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<Key, Answer> _lastGood = new();
    private volatile Generation _generation = new();
    private Action? _changed;

    public ResourceAnswers(
        ModelStore store, IResourceTranslator translator, OutgoingCheck check, LeafPolicyStore leafPolicy, TrustBundleStore trust, ILogger<ResourceAnswers> logger)
    {
        (_translator, _check, _leafPolicy, _trust, _logger) = (translator, check, leafPolicy, trust, logger);
        store.Subscribe(Take);
    }

    /// <summary>Resources of the model in force that were refused at home, by name: nodes keep what they had, or have nothing.</summary>
    public IReadOnlyList<(string Name, string Problem)> Problems =>
        [.. _generation.Problems.Select(p => (p.Key, p.Value.Text)).OrderBy(p => p.Key, StringComparer.Ordinal)];

    /// <summary>Counts the models that were in force.</summary>
    public long Number => _generation.Number;

    /// <summary>Called when answers may be others than before.</summary>
    public void Subscribe(Action changed) => _changed += changed;

    /// <summary>What changed since a number was read, which then is that of now; null: anything may have.</summary>
    public ImmutableArray<ModelChange>? ChangesSince(ref long number)
    {
        var now = _generation;
        var missed = now.Number - number;
        number = now.Number;
        return missed > now.Changes.Length ? null : now.Changes[^(int)missed..];
    }

    /// <summary>The answer under the model in force. Never throws: a translator's defect becomes an invalid answer.</summary>
    public Answer Get(NodeContext node, string typeUrl, string name)
    {
        if (typeUrl == XdsTypes.LeafPolicy)
        {
            return name == LeafPolicyStore.ResourceName && node.IsMesh
                ? Pack(typeUrl, new LeafPolicy { Name = name, IssuedAfter = _leafPolicy.IssuedAfter.ToTimestamp() }.ToByteString())
                : Answer.Missing($"the only LeafPolicy is '{LeafPolicyStore.ResourceName}', for mesh nodes");
        }

        if (typeUrl == XdsTypes.TrustBundle)
        {
            var now = _trust.Current;
            return name == now.Bundle.TrustDomain.Name && node is { IsMesh: true, Identity: not null }
                ? new Answer(now.Version, new Any { TypeUrl = typeUrl, Value = now.Resource }, null, false)
                : Answer.Missing($"the only TrustBundle is '{now.Bundle.TrustDomain}', for mesh nodes with a certificate");
        }

        var generation = _generation;
        var key = generation.KeyOf(ref node, typeUrl, name);
        if (generation.Answers.TryGetValue(key, out var known))
        {
            return known;
        }

        var answer = Make(generation, node, key) with { Name = key.Name, Basis = _translator.BasisOf(node, typeUrl, name) };
        if (answer.Exists && generation.Answers.Count < MaxKept)
        {
            answer = generation.Answers.GetOrAdd(key, answer);
        }

        return answer;
    }

    /// <summary>The endpoints that run as this identity under the model in force, and that model.</summary>
    public (MeshModel Model, IEnumerable<ServiceEndpoint> Endpoints) EndpointsOf(SpiffeId id)
    {
        var generation = _generation;
        return (generation.Model, generation.EndpointsByAccount.Value[(id.Namespace!, id.ServiceAccount!)]);
    }

    /// <summary>On the source's thread, one model after the other.</summary>
    private void Take(MeshModel model)
    {
        _generation = _generation.Next(model);
        _changed?.Invoke();
    }

    private Answer Make(Generation generation, NodeContext node, Key key)
    {
        string? problem;
        try
        {
            var (message, reason) = _translator.Translate(generation.Model, node, key.TypeUrl, key.Name);
            if (message is null)
            {
                _lastGood.TryRemove(key, out _);
                Log.NoSuchResource(_logger, key.TypeUrl, key.Name, node.Id, reason ?? "no reason given");
                return Answer.Missing(reason);
            }

            var bytes = message.ToByteString();
            problem = _check.Problem(key.TypeUrl, key.Name, bytes);
            if (problem is null)
            {
                var good = Pack(key.TypeUrl, bytes);
                if (_lastGood.TryGetValue(key, out var before) && before.Version == good.Version)
                {
                    return before;
                }

                if (_lastGood.Count >= MaxKept)
                {
                    _lastGood.Clear();
                }

                _lastGood[key] = good;
                return good;
            }
        }
        catch (Exception e)
        {
            problem = $"{e.GetType().Name}: {e.Message}";
        }

        if (generation.Problems.Count < MaxKept)
        {
            generation.Problems[key.Name] = (problem, _translator.BasisOf(node, key.TypeUrl, key.Name));
        }

        var keeps = _lastGood.TryGetValue(key, out var last);
        Log.InvalidResource(_logger, key.TypeUrl, key.Name, node.Id, problem, keeps);
        return keeps ? last! : new Answer(string.Empty, null, problem, IsInvalid: true);
    }

    private static Answer Pack(string typeUrl, ByteString bytes)
    {
        var version = Convert.ToHexStringLower(SHA256.HashData(bytes.Span).AsSpan(0, 8));
        return new Answer(version, new Any { TypeUrl = typeUrl, Value = bytes }, null, false);
    }

    private readonly record struct Key(string TypeUrl, string Name, string Namespace, bool IsMesh, bool IsTransparent, bool HasDefaultTls, string Who);

    /// <summary>One model, what differs from those before it, and the answers made under it or taken over.</summary>
    private sealed class Generation
    {
        /// <summary>A stream that has not looked for so many models compares all it has.</summary>
        private const int MaxChanges = 32;

        private readonly bool _routesDependOnCaller;
        private readonly Places _places;

        /// <summary>Namespaces with routes of their own to Services of others: their callers are steered in another way.</summary>
        private readonly HashSet<string> _consumers;

        public Generation()
            : this(MeshModel.Empty, 0, [], new())
        {
        }

        private Generation(MeshModel model, long number, ImmutableArray<ModelChange> changes, ConcurrentDictionary<Key, Answer> answers)
        {
            (Model, Number, Changes, Answers) = (model, number, changes, answers);
            _routesDependOnCaller = model.RoutesDependOnCaller;
            _places = new Places(model);
            _consumers = [.. model.Routes.Select(r => (r.Namespace, r.Parents)).Concat(model.ConnectionRoutes.Select(r => (r.Namespace, r.Parents)))
                .Where(r => r.Parents.Any(p => p.Service.Namespace != r.Namespace)).Select(r => r.Namespace)];
            EndpointsByAccount = new(() => (
                from service in model.Services.Values
                from endpoint in service.Endpoints
                where endpoint.ServiceAccount is not null
                select (Key: (service.Name.Namespace, endpoint.ServiceAccount!), Value: endpoint)).ToLookup(e => e.Key, e => e.Value));
        }

        public MeshModel Model { get; }

        public long Number { get; }

        /// <summary>The newest last, that from the model before to this one.</summary>
        public ImmutableArray<ModelChange> Changes { get; }

        public ConcurrentDictionary<Key, Answer> Answers { get; }

        /// <summary>By name.</summary>
        public ConcurrentDictionary<string, (string Text, AnswerBasis? Basis)> Problems { get; } = new(StringComparer.Ordinal);

        public Lazy<ILookup<(string Namespace, string Account), ServiceEndpoint>> EndpointsByAccount { get; }

        public Generation Next(MeshModel model)
        {
            var change = ModelChange.Between(Model, model);
            var changes = (Changes.Length == MaxChanges ? Changes.RemoveAt(0) : Changes).Add(change);
            // What is added to the answers of this generation from now on is made again in the next one.
            var next = new Generation(model, Number + 1, changes, new(Answers.Where(a => !change.Touches(a.Value.Basis))));
            foreach (var (name, problem) in Problems.Where(p => !change.Touches(p.Value.Basis)))
            {
                next.Problems[name] = problem;
            }

            return next;
        }

        /// <summary>Whom the answer is for: as many as can share it.</summary>
        /// <param name="node">Leaves with the place that endpoints are told by, where they are.</param>
        public Key KeyOf(ref NodeContext node, string typeUrl, string name)
        {
            if (typeUrl == XdsTypes.ClusterLoadAssignment && _places.Matter(name))
            {
                node = node with { Place = _places.Of(node) };
                return new Key(typeUrl, name, string.Empty, node.IsMesh, node.IsTransparent, node.HasDefaultTls, $"{node.Place.Region}/{node.Place.Zone}/{node.Place.Node}");
            }

            // An inbound listener depends on who proved to ask (whose policies hold) and where it is, and so do routes where a rule is for certain callers; all else only on the asker's kind.
            var inbound = name.Contains('?', StringComparison.Ordinal);
            var who = inbound ? $"{node.Identity} {node.UserAgent} {string.Join(',', node.InstanceIps)}"
                : typeUrl == XdsTypes.RouteConfiguration && _routesDependOnCaller ? $"{node.Identity}"
                : string.Empty;
            return new Key(typeUrl, name, inbound || DependsOnNamespace(node, typeUrl, name) ? node.Namespace : string.Empty, node.IsMesh, node.IsTransparent, node.HasDefaultTls, who);
        }

        /// <summary>Clusters and endpoints do not; names that are short do (with two dots a name says its namespace itself), and where the caller's own routes lead.</summary>
        private bool DependsOnNamespace(NodeContext node, string typeUrl, string name) => typeUrl switch
        {
            XdsTypes.Cluster or XdsTypes.ClusterLoadAssignment => false,
            XdsTypes.RouteConfiguration => _consumers.Contains(node.Namespace),
            _ => name.AsSpan().Count('.') < 2 || _consumers.Contains(node.Namespace),
        };
    }
}
