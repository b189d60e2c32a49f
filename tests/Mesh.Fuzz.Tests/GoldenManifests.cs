using Google.Protobuf;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Translation;
using Mesh.Fuzz.Tests.Targets;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;

namespace Mesh.Fuzz.Tests;

/// <summary>The manifests of the translator's own tests, and what they translate into.</summary>
internal static class GoldenManifests
{
    private const int MaxServices = 12;
    private static readonly TranslationOptions _options = new(TrustDomain.Parse("cluster.local"), "cluster.local");
    public static IReadOnlyList<string> All { get; } =
        [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Golden"), "in.yaml", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(File.ReadAllText)];

    private static readonly Lazy<IReadOnlyList<GoldenResource>> _resources = new(() =>
        [.. All.SelectMany(yaml => Translate(ModelAssembler.Assemble([ManifestFile.Read("in.yaml", yaml, null)], _options.TrustDomain, new ManifestTarget.EveryOther(), _ => ["10.0.0.9"])))]);

    /// <summary>Of all manifests.</summary>
    public static IReadOnlyList<GoldenResource> Resources => _resources.Value;

    /// <summary>What nodes of each kind are told of a model.</summary>
    public static IEnumerable<GoldenResource> Translate(MeshModel model)
    {
        var translator = new ResourceTranslator(_options);
        var names = new ResourceNames(_options.ClusterDomain);
        NodeContext[] nodes =
        [
            new("mesh", "shop", null) { IsMesh = true, InstanceIps = ["127.0.0.1", "10.0.0.1"] },
            new("foreign", "shop", null) { HasDefaultTls = true, UserAgent = "gRPC Node Pure JS" },
        ];
        foreach (var service in model.Services.Values.OrderBy(s => s.Name.ToString(), StringComparer.Ordinal).Take(MaxServices))
        {
            foreach (var node in nodes)
            {
                foreach (var port in service.Ports)
                {
                    yield return Of(XdsTypes.Listener, names.Listener(service.Name, port.Port));
                    yield return Of(XdsTypes.RouteConfiguration, names.Listener(service.Name, port.Port));
                    yield return Of(XdsTypes.Cluster, names.Cluster(service.Name, port.Port));
                    yield return Of(XdsTypes.ClusterLoadAssignment, names.Cluster(service.Name, port.Port));
                }

                foreach (var endpoint in service.Endpoints.Take(2))
                {
                    yield return Of(XdsTypes.Listener, (node.IsMesh ? XdsTypes.InboundPrefix : XdsTypes.GrpcServerPrefix) + endpoint.HostPort);
                }

                GoldenResource Of(string type, string name)
                {
                    var (message, reason) = translator.Translate(model, node, type, name);
                    Holds.That(message is not null, $"{name} exists in the model and is not told to {node.Id}: {reason}");
                    return new GoldenResource(type, name, message.ToByteString());
                }
            }
        }
    }
}

/// <summary>One resource as it goes over the wire.</summary>
internal sealed record GoldenResource(string Type, string Name, ByteString Bytes);
