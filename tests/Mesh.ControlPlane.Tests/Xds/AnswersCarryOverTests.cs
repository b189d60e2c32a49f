using System.Runtime.CompilerServices;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Tests.Sources;
using Mesh.ControlPlane.Translation;
using Mesh.ControlPlane.Xds;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Mesh.ControlPlane.Tests.Xds;

/// <summary>What is taken over from one model to the next, and what a stream does not look at, is what would be made anew: shown on the golden cases with random changes.</summary>
public class AnswersCarryOverTests
{
    private const int Steps = 15;

    public static TheoryData<string> Cases => [.. Directory.GetDirectories(Folder()).Select(d => Path.GetFileName(d)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Publish_RandomChanges_HeldAnswersAreAsMadeAnew(string name)
    {
        var documents = File.ReadAllText(Path.Combine(Folder(), name, "in.yaml")).Split("\n---\n");
        var asks = File.ReadAllLines(Path.Combine(Folder(), name, "ask.txt")).Select(Ask).OfType<(NodeContext Node, string Type, string Name)>().ToArray();
        var random = new Random(documents.Length);
        var files = new Dictionary<string, ManifestFile>();
        var store = new ModelStore();
        var answers = Answers(store);
        var seen = answers.Number;
        var held = asks.Select(a => answers.Get(a.Node, a.Type, a.Name)).ToArray();
        for (var step = 0; step < Steps; step++)
        {
            var model = Manifests.Assemble(
                Changed(documents, random, step).Select((text, i) => files.TryGetValue(text, out var file) ? file : files[text] = ManifestFile.Read($"{i}.yaml", text, null)).ToArray(),
                random.Next(3) == 0 ? ["*"] : random.Next(2) == 0 ? ["10.0.0.1:8080", "10.0.0.2:8080+tcp"] : []);
            store.Publish(model);
            var fresh = Answers(new ModelStore(), model);
            var changes = answers.ChangesSince(ref seen);
            for (var i = 0; i < asks.Length; i++)
            {
                var (node, type, asked) = asks[i];
                // As AdsSession decides it.
                if (changes is null || changes.Value.Any(c => c.Touches(AnswerBasis.Of(node)) || c.Touches(held[i].Basis)))
                {
                    held[i] = answers.Get(node, type, asked);
                }

                var anew = fresh.Get(node, type, asked);
                if (!anew.IsInvalid)
                {
                    Assert.True(anew.Version == held[i].Version, $"step {step}: {node.Id} {type} {asked}: {anew} is held as {held[i]}");
                }
            }
        }
    }

    /// <summary>Mostly endpoints: some are away, some stand elsewhere. Every fifth time something else is away.</summary>
    private static List<string> Changed(string[] documents, Random random, int step)
    {
        var changed = new List<string>();
        foreach (var document in documents)
        {
            var isEndpoints = document.Contains("kind: EndpointSlice", StringComparison.Ordinal) || document.Contains("kind: Pod\n", StringComparison.Ordinal);
            if ((isEndpoints && random.Next(6) == 0) || (step % 5 == 4 && random.Next(5) == 0))
            {
                continue;
            }

            changed.Add(isEndpoints && random.Next(4) == 0
                ? document.Replace("10.0.0.1", "10.0.0.77", StringComparison.Ordinal).Replace("10.0.0.2", "10.0.0.1", StringComparison.Ordinal)
                : document);
        }

        return changed;
    }

    private static (NodeContext Node, string Type, string Name)? Ask(string line)
    {
        if (line.Split(' ', 4) is not [var who, var ns, var type, var name] || type is not ("LDS" or "RDS" or "CDS" or "EDS") || line[0] == '#')
        {
            return null;
        }

        var (kind, account) = who.Split('@') is [var named, var sa] ? (named, sa) : (who, null);
        var node = new NodeContext(who, ns, account is null ? null : SpiffeId.ForServiceAccount(Manifests.TrustDomain, ns, account))
        {
            IsMesh = kind is "mesh" or "sidecar",
            IsTransparent = kind == "sidecar",
            HasDefaultTls = kind == "grpc+tls",
            InstanceIps = ["10.0.0.1"],
        };
        return (node, type switch { "LDS" => XdsTypes.Listener, "RDS" => XdsTypes.RouteConfiguration, "CDS" => XdsTypes.Cluster, _ => XdsTypes.ClusterLoadAssignment }, name.Trim());
    }

    private static ResourceAnswers Answers(ModelStore store, MeshModel? model = null)
    {
        if (model is not null)
        {
            store.Publish(model);
        }

        // Leaf policy and trust are no resources of the model: nobody asks for them here.
        return new ResourceAnswers(
            store, new ResourceTranslator(new TranslationOptions(Manifests.TrustDomain, "cluster.local")), new OutgoingCheck(ResourceDecoder.Decode), null!, null!, NullLogger<ResourceAnswers>.Instance);
    }

    private static string Folder([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "Golden"));
}
