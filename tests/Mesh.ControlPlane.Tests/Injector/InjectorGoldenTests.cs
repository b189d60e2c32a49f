using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using k8s;
using k8s.Models;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Install;
using Xunit;

namespace Mesh.ControlPlane.Tests.Injector;

/// <summary>
/// Golden/&lt;case&gt;/pod.yaml → patch.json and patched.yaml. Rewritten with MESH_UPDATE_GOLDEN=1, then reviewed as a diff.
/// Before the Pod may stand a Namespace, and a document of kind Values with what <c>mesh install</c> was given.
/// </summary>
public class InjectorGoldenTests
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static TheoryData<string> Cases => [.. Directory.GetDirectories(Folder()).Select(d => Path.GetFileName(d)!).Order(StringComparer.Ordinal)];

    public static TheoryData<string> InjectedCases => [.. Directory.GetDirectories(Folder()).Where(d => InjectionCase.Read(Path.Combine(d, "pod.yaml")).Inject().Skip is null).Select(d => Path.GetFileName(d)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Case_IsInjectedAsRecorded(string name)
    {
        var injection = InjectionCase.Read(Path.Combine(Folder(), name, "pod.yaml")).Inject();
        Check(name, "patch.json", new JsonObject
        {
            ["mode"] = injection.Mode.ToString(),
            ["skip"] = injection.Skip is { } skip ? new JsonObject { ["reason"] = skip.Reason, ["message"] = skip.Message, ["expected"] = skip.Expected } : null,
            ["warnings"] = new JsonArray([.. injection.Warnings.Select(w => (JsonNode)w)]),
            ["patch"] = injection.Patch.DeepClone(),
        }.ToJsonString(Indented) + "\n");
        if (injection.Skip is null)
        {
            Check(name, "patched.yaml", YamlJson.Write(injection.Pod));
        }
        else
        {
            Assert.Empty(injection.Patch);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Patched_IsAPodToKubernetes(string name)
    {
        var injection = InjectionCase.Read(Path.Combine(Folder(), name, "pod.yaml")).Inject();

        // Unknown members and wrong types are errors.
        var pod = KubernetesYaml.Deserialize<V1Pod>(YamlJson.Write(injection.Pod), strict: true);
        Assert.Equal("Pod", pod.Kind);
        var names = pod.Spec.Containers.Concat(pod.Spec.InitContainers ?? []).Select(c => c.Name).ToList();
        Assert.Equal(names.Distinct().Count(), names.Count);
        foreach (var container in pod.Spec.Containers.Concat(pod.Spec.InitContainers ?? []).Where(c => InjectedNames.Containers.Contains(c.Name) && injection.Patch.Count > 0))
        {
            Assert.True(container.SecurityContext.ReadOnlyRootFilesystem);
            Assert.False(container.SecurityContext.AllowPrivilegeEscalation);
            Assert.Equal("RuntimeDefault", container.SecurityContext.SeccompProfile.Type);
            Assert.Equal(["ALL"], container.SecurityContext.Capabilities.Drop);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Patch_OnThePod_GivesThePatchedPod(string name)
    {
        var given = InjectionCase.Read(Path.Combine(Folder(), name, "pod.yaml"));
        var before = given.Pod.ToJsonString();
        var injection = given.Inject();

        // As the API server does it, by RFC 6902, and not as the injector's own copy was changed.
        Assert.Equal(injection.Pod.ToJsonString(), Rfc6902.Apply(given.Pod, injection.Patch).ToJsonString());
        Assert.Equal(before, given.Pod.ToJsonString());
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Patched_IsLeftAsItIs(string name)
    {
        var given = InjectionCase.Read(Path.Combine(Folder(), name, "pod.yaml"));
        var again = (given with { Pod = given.Inject().Pod }).Inject();

        Assert.Empty(again.Patch);
    }

    /// <summary>Whatever its owner wrote is there again, also where it is called as what the injector writes.</summary>
    [Theory]
    [MemberData(nameof(InjectedCases))]
    public void Patched_TakenOutAgain_IsThePodThatItWas(string name)
    {
        var given = InjectionCase.Read(Path.Combine(Folder(), name, "pod.yaml"));

        var bare = PodUnpatch.Of(given.Inject().Pod, keepSettings: true);

        Assert.Equal(given.Pod.ToJsonString(Indented), bare.ToJsonString(Indented));
    }

    private static void Check(string name, string file, string actual)
    {
        var golden = Path.Combine(Folder(), name, file);
        if (Environment.GetEnvironmentVariable("MESH_UPDATE_GOLDEN") == "1")
        {
            File.WriteAllText(golden, actual);
        }

        Assert.True(File.Exists(golden), $"{golden} is missing. Run with MESH_UPDATE_GOLDEN=1 and review it.");
        Assert.Equal(File.ReadAllText(golden), actual);
    }

    internal static string Folder([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "Golden");
}

/// <summary>One pod, and what stands around it.</summary>
internal sealed record InjectionCase(JsonObject Pod, NamespaceMeta Namespace, InjectionValues Values)
{
    public static InjectionCase Read(string file)
    {
        var documents = YamlJson.Parse(File.ReadAllText(file));
        var problems = new List<string>();
        var values = documents.FirstOrDefault(d => d.Text("kind") == "Values");
        var read = InjectionValues.Read(values ?? [], problems);
        Assert.Empty(problems);
        var ns = documents.FirstOrDefault(d => d.Text("kind") == "Namespace");
        var name = ns.Object("metadata").Text("name") ?? "shop";
        return new(
            documents.Single(d => d.Text("kind") is not ("Values" or "Namespace")),
            ns is null ? NamespaceMeta.Bare(name) : NamespaceMeta.Of(name, ns),
            read with { Version = "1.2.3" });
    }

    public PodInjection Inject() => PodPatch.Of(Pod, Namespace, Values);
}

/// <summary>A JSON patch as others apply it (RFC 6902, <c>add</c> alone).</summary>
internal static class Rfc6902
{
    public static JsonObject Apply(JsonObject document, JsonArray patch)
    {
        var result = (JsonObject)document.DeepClone();
        foreach (var operation in patch.Cast<JsonObject>())
        {
            Assert.Equal("add", operation.Text("op"));
            var tokens = operation.Text("path")!.Split('/')[1..].Select(t => t.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)).ToArray();
            JsonNode parent = result;
            foreach (var token in tokens[..^1])
            {
                parent = (parent is JsonArray list ? list[int.Parse(token)] : parent[token]) ?? throw new InvalidOperationException($"{operation.Text("path")}: there is no {token}.");
            }

            var value = operation["value"]?.DeepClone();
            if (parent is JsonArray items)
            {
                items.Insert(tokens[^1] == "-" ? items.Count : int.Parse(tokens[^1]), value);
            }
            else
            {
                parent[tokens[^1]] = value;
            }
        }

        return result;
    }
}
