using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Sources.Kubernetes;
using Mesh.ControlPlane.Tests.Translation;
using Mesh.Testing.Kubernetes;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources.Kubernetes;

/// <summary>The golden cases of the translation, with their manifests in a cluster: the same bytes as from a folder.</summary>
public sealed class SameAsFilesTests
{
    public static TheoryData<string> Cases => GoldenTests.Cases;

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Case_InACluster_AnswersAsFromAFolder(string name)
    {
        var folder = GoldenTests.FolderOf(name);
        var yaml = await File.ReadAllTextAsync(Path.Combine(folder, "in.yaml"), TestContext.Current.CancellationToken);
        var asks = GoldenTests.Lines(await File.ReadAllLinesAsync(Path.Combine(folder, "ask.txt"), TestContext.Current.CancellationToken));
        // Problems name other places. An endpoint's address means that endpoint where the Service has an address of its own, which each has in a cluster.
        string[] lines = [.. asks.Where(l => l != "problems" && !(l.Split(' ') is [.., "LDS", var asked] && IPEndPoint.TryParse(asked, out _)))];
        var time = new FakeTimeProvider(new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero));

        await using var cluster = await TestCluster.StartAsync(api => Apply(api, yaml, time), new FakeKubeApiOptions { Time = time }, marks: new FakeMarks(GoldenTests.Meshed(asks)));

        var model = Manifests.Model(yaml, GoldenTests.Meshed(asks));
        // What the API server and others add is no other mesh.
        Assert.Equal(GoldenTests.Answers(model, lines), GoldenTests.Answers(cluster.Model, lines));
        // And what 'kubectl get -o yaml' would write can be put into a folder.
        var written = string.Join("\n---\n", WatchedKinds.All.SelectMany(k => Stored(cluster.Api, k)).Select(o => o.ToJsonString()));
        Assert.Equal(GoldenTests.Answers(Manifests.Model(written, GoldenTests.Meshed(asks)), [.. asks.Where(l => l != "problems")]), GoldenTests.Answers(cluster.Model, [.. asks.Where(l => l != "problems")]));
    }

    /// <summary>As it would be done by hand: the oldest first; objects that a cluster does not take are left out.</summary>
    private static void Apply(FakeKubeApi api, string yaml, FakeTimeProvider time)
    {
        var known = WatchedKinds.All.ToDictionary(k => k.Kind);
        var objects = KubeYaml.Documents(yaml).SelectMany(d => (string?)d["kind"] == "List" ? d["items"]!.AsArray().Select(i => i!.DeepClone().AsObject()) : [d])
            .Where(d => (string?)d["kind"] is { } kind && known.TryGetValue(kind, out var found) && found.ApiVersions.Contains((string?)d["apiVersion"] ?? string.Empty))
            .Select(d => (Object: d, Created: (string?)d["metadata"]?["creationTimestamp"] is { } text ? DateTimeOffset.Parse(text, CultureInfo.InvariantCulture) : DateTimeOffset.MaxValue))
            .OrderBy(d => d.Created);
        var seen = new HashSet<string>();
        foreach (var (json, created) in objects)
        {
            // Of two objects of one name the folder takes the first.
            if (!seen.Add($"{json["kind"]}/{json["metadata"]?["namespace"]}/{json["metadata"]?["name"]}"))
            {
                continue;
            }

            var at = created == DateTimeOffset.MaxValue ? new DateTimeOffset(2100, 1, 1, 0, 0, 0, TimeSpan.Zero) : created;
            if (at > time.GetUtcNow())
            {
                time.SetUtcNow(at);
            }

            foreach (var container in json["spec"]?["containers"] as JsonArray ?? [])
            {
                // A folder needs none.
                container!["image"] ??= "app";
            }

            try
            {
                api.Apply(json);
            }
            catch (StatusException)
            {
                // Such as a bad name: the API server keeps it out, and so does the reader.
            }
        }
    }

    private static IEnumerable<JsonObject> Stored(FakeKubeApi api, WatchedKind kind)
    {
        var group = kind.ApiVersions[0].Contains('/', StringComparison.Ordinal) ? "." + kind.ApiVersions[0].Split('/')[0] : string.Empty;
        var plural = kind.Plural ?? (kind.Kind.EndsWith('y') ? $"{kind.Kind[..^1].ToLowerInvariant()}ies" : $"{kind.Kind.ToLowerInvariant()}s");
        return api.List(plural + group);
    }
}
