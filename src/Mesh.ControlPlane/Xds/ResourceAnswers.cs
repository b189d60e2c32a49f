using System.Collections.Concurrent;
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

/// <summary>Translates, checks and serialises each resource once per model, whoever asks. Thread-safe.</summary>
internal sealed partial class ResourceAnswers(
    ModelStore store, IResourceTranslator translator, OutgoingCheck check, LeafPolicyStore leafPolicy, TrustBundleStore trust, ILogger<ResourceAnswers> logger)
{
    // Bounds what hostile subscriptions can make us keep; beyond it answers are made anew each time.
    private const int MaxKept = 100_000;

    private readonly ConcurrentDictionary<Key, Answer> _lastGood = new();
    private volatile Generation _generation = new(MeshModel.Empty);

    /// <summary>Resources of the model in force that were refused at home, by name: nodes keep what they had, or have nothing.</summary>
    public IReadOnlyList<(string Name, string Problem)> Problems => [.. _generation.Problems.Select(p => (p.Key, p.Value)).OrderBy(p => p.Key, StringComparer.Ordinal)];

    /// <summary>The answer under the model in force. Never throws: a translator's defect becomes an invalid answer.</summary>
    public Answer Get(NodeContext node, string typeUrl, string name)
    {
        if (typeUrl == XdsTypes.LeafPolicy)
        {
            return name == LeafPolicyStore.ResourceName && node.IsMesh
                ? Pack(typeUrl, new LeafPolicy { Name = name, IssuedAfter = leafPolicy.IssuedAfter.ToTimestamp() }.ToByteString())
                : Answer.Missing($"the only LeafPolicy is '{LeafPolicyStore.ResourceName}', for mesh nodes");
        }

        if (typeUrl == XdsTypes.TrustBundle)
        {
            var now = trust.Current;
            return name == now.Bundle.TrustDomain.Name && node is { IsMesh: true, Identity: not null }
                ? new Answer(now.Version, new Any { TypeUrl = typeUrl, Value = now.Resource }, null, false)
                : Answer.Missing($"the only TrustBundle is '{now.Bundle.TrustDomain}', for mesh nodes with a certificate");
        }

        var generation = Current();
        // An inbound listener depends on who proved to ask (whose policies hold) and where it is, and so do routes where a rule is for certain callers; all else only on the asker's kind.
        var who = name.Contains('?', StringComparison.Ordinal) ? $"{node.Identity} {node.UserAgent} {string.Join(',', node.InstanceIps)}"
            : typeUrl == XdsTypes.RouteConfiguration && generation.RoutesDependOnCaller ? $"{node.Identity}"
            : string.Empty;
        if (typeUrl == XdsTypes.ClusterLoadAssignment && generation.Places.Matter(name))
        {
            node = node with { Place = generation.Places.Of(node) };
            who = $"{node.Place.Region}/{node.Place.Zone}/{node.Place.Node}";
        }

        var key = new Key(typeUrl, name, node.Namespace, node.IsMesh, node.IsTransparent, node.HasDefaultTls, who);
        if (generation.Answers.TryGetValue(key, out var known))
        {
            return known;
        }

        var answer = Make(generation.Model, node, key);
        if (answer.Exists && generation.Answers.Count < MaxKept)
        {
            answer = generation.Answers.GetOrAdd(key, answer);
        }

        return answer;
    }

    /// <summary>The endpoints that run as this identity under the model in force, and that model.</summary>
    public (MeshModel Model, IEnumerable<ServiceEndpoint> Endpoints) EndpointsOf(SpiffeId id)
    {
        var generation = Current();
        return (generation.Model, generation.EndpointsByAccount.Value[(id.Namespace!, id.ServiceAccount!)]);
    }

    private Generation Current()
    {
        var (generation, model) = (_generation, store.Current);
        return ReferenceEquals(generation.Model, model) ? generation : _generation = new Generation(model);
    }

    private Answer Make(MeshModel model, NodeContext node, Key key)
    {
        string? problem;
        try
        {
            var (message, reason) = translator.Translate(model, node, key.TypeUrl, key.Name);
            if (message is null)
            {
                _lastGood.TryRemove(key, out _);
                Log.NoSuchResource(logger, key.TypeUrl, key.Name, node.Id, reason ?? "no reason given");
                return Answer.Missing(reason);
            }

            var bytes = message.ToByteString();
            problem = check.Problem(key.TypeUrl, key.Name, bytes);
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

        if (_generation.Problems.Count < MaxKept)
        {
            _generation.Problems[key.Name] = problem;
        }

        var keeps = _lastGood.TryGetValue(key, out var last);
        Log.InvalidResource(logger, key.TypeUrl, key.Name, node.Id, problem, keeps);
        return keeps ? last! : new Answer(string.Empty, null, problem, IsInvalid: true);
    }

    private static Answer Pack(string typeUrl, ByteString bytes)
    {
        var version = Convert.ToHexStringLower(SHA256.HashData(bytes.Span).AsSpan(0, 8));
        return new Answer(version, new Any { TypeUrl = typeUrl, Value = bytes }, null, false);
    }

    private readonly record struct Key(string TypeUrl, string Name, string Namespace, bool IsMesh, bool IsTransparent, bool HasDefaultTls, string Who);

    private sealed class Generation(MeshModel model)
    {
        public MeshModel Model => model;

        public bool RoutesDependOnCaller { get; } = model.RoutesDependOnCaller;

        public Places Places { get; } = new(model);

        public Lazy<ILookup<(string Namespace, string Account), ServiceEndpoint>> EndpointsByAccount { get; } = new(() => (
            from service in model.Services.Values
            from endpoint in service.Endpoints
            where endpoint.ServiceAccount is not null
            select (Key: (service.Name.Namespace, endpoint.ServiceAccount!), Value: endpoint)).ToLookup(e => e.Key, e => e.Value));

        public ConcurrentDictionary<Key, Answer> Answers { get; } = new();

        public ConcurrentDictionary<string, string> Problems { get; } = new(StringComparer.Ordinal);
    }
}
