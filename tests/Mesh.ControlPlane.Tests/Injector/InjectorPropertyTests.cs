using System.Text.Json.Nodes;
using k8s;
using k8s.Models;
using Mesh.ControlPlane.Injector;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources;
using Xunit;

namespace Mesh.ControlPlane.Tests.Injector;

/// <summary>What holds for every pod, shown with many; the seed is in each failure.</summary>
public class InjectorPropertyTests
{
    private static readonly string[] Texts =
    [
        "enabled", "disabled", "library", "none", "native", "container", "8080", "1-3,70", "10.0.0.0/8", "fd00::/64", "deny", "allow", "json", "debug", "1Gi", "100m", "2102", "5s", "x y", "",
        "-1", "99999", "[{\"name\": \"A\", \"value\": \"1\"}]", "[", "\u0000", "é😀", "true", "iptables-nft",
    ];

    [Fact]
    public void Pods_OfAnySettings_AreValidAndPatchedOnce()
    {
        for (var seed = 0; seed < 400; seed++)
        {
            var random = new Random(seed);
            var (pod, ns) = (Pod(random), new NamespaceMeta("shop", new Dictionary<string, string>(), Annotated(random, 0.1)));
            var values = new InjectionValues();
            var first = PodPatch.Of(pod, ns, values);
            var second = PodPatch.Of(first.Pod, ns, values);

            Assert.True(second.Patch.Count == 0, $"seed {seed}: a patched pod was patched again: {second.Patch.ToJsonString()}");
            Assert.True(JsonNode.DeepEquals(first.Pod, Rfc6902.Apply(pod, first.Patch)), $"seed {seed}: the patch does not give the pod");
            Assert.True(first.Skip is null == (first.Mode != InjectMode.Disabled), $"seed {seed}: mode {first.Mode}, skip {first.Skip}");
            Assert.All(first.Warnings, w => Assert.True(w.Length is > 0 and <= 250 && !w.Any(char.IsControl), $"seed {seed}: warning '{w}'"));
            var read = KubernetesYaml.Deserialize<V1Pod>(YamlJson.Write(first.Pod), strict: true);
            if (first.Mode == InjectMode.Sidecar)
            {
                var proxy = Assert.Single(read.Spec.InitContainers.Concat(read.Spec.Containers), c => c.Name == InjectedNames.Proxy);
                // Nobody else runs as the proxy, and nothing of what users write makes the sidecar somebody else.
                Assert.False(
                    read.Spec.Containers.Concat(read.Spec.InitContainers).Any(c => c != proxy && (c.SecurityContext?.RunAsUser ?? read.Spec.SecurityContext?.RunAsUser) is > 0 and var uid && uid == proxy.SecurityContext.RunAsUser),
                    $"seed {seed}: somebody else runs as the proxy");
                Assert.Equal(values.ControlPlane, Assert.Single(proxy.Env, e => e.Name == "MESH_CONTROL_PLANE").Value);
                Assert.Equal(proxy.Env.Select(e => e.Name).Distinct().Count(), proxy.Env.Count);
            }
        }
    }

    [Fact]
    public void Pods_OfAnyShape_ThrowNothing()
    {
        for (var seed = 0; seed < 1500; seed++)
        {
            var random = new Random(seed);
            var pod = Pod(random);
            for (var i = random.Next(1, 6); i > 0; i--)
            {
                Break(pod, random, 0);
            }

            var first = PodPatch.Of(pod, NamespaceMeta.Bare("shop"), new InjectionValues());
            Assert.True(PodPatch.Of(first.Pod, NamespaceMeta.Bare("shop"), new InjectionValues()).Patch.Count == 0, $"seed {seed}: {pod.ToJsonString()}");
        }
    }

    private static JsonObject Pod(Random random)
    {
        var containers = new JsonArray();
        for (var i = random.Next(1, 4); i > 0; i--)
        {
            containers.Add(Container($"app-{i}", random));
        }

        var spec = new JsonObject { ["containers"] = containers };
        if (random.Next(2) == 0)
        {
            var before = Container("before", random);
            if (random.Next(2) == 0)
            {
                before["restartPolicy"] = "Always";
            }

            spec["initContainers"] = new JsonArray(before);
        }

        if (random.Next(4) == 0)
        {
            spec["securityContext"] = new JsonObject { ["runAsUser"] = 2102 + random.Next(3) };
        }

        if (random.Next(10) == 0)
        {
            spec["hostNetwork"] = true;
        }

        var meta = new JsonObject { ["name"] = "web" };
        var annotations = new JsonObject { [Annotations.Inject] = random.Next(4) == 0 ? "library" : "enabled" };
        foreach (var (name, value) in Annotated(random, 0.2))
        {
            annotations[name] = value;
        }

        meta["annotations"] = annotations;
        return new JsonObject { ["apiVersion"] = "v1", ["kind"] = "Pod", ["metadata"] = meta, ["spec"] = spec };
    }

    private static JsonObject Container(string name, Random random)
    {
        var container = new JsonObject { ["name"] = name, ["image"] = "app" };
        if (random.Next(2) == 0)
        {
            container["ports"] = new JsonArray(new JsonObject { ["containerPort"] = random.Next(1, 65536), ["protocol"] = random.Next(3) == 0 ? "UDP" : "TCP" });
        }

        if (random.Next(2) == 0)
        {
            container["readinessProbe"] = new JsonObject { ["httpGet"] = new JsonObject { ["path"] = random.Next(2) == 0 ? "/a,b?c" : "ready", ["port"] = 80 } };
        }

        if (random.Next(3) == 0)
        {
            container["env"] = new JsonArray(new JsonObject { ["name"] = "A", ["value"] = "1" });
        }

        if (random.Next(4) == 0)
        {
            container["securityContext"] = new JsonObject { ["runAsUser"] = 2102 + random.Next(3) };
        }

        return container;
    }

    private static Dictionary<string, string> Annotated(Random random, double share)
    {
        var annotations = new Dictionary<string, string>();
        foreach (var name in Annotations.SidecarSettings.Append("inject"))
        {
            if (random.NextDouble() < share)
            {
                annotations[$"{Annotations.Domain}/{name}"] = Texts[random.Next(Texts.Length)];
            }
        }

        return annotations;
    }

    /// <summary>Puts something of another kind somewhere.</summary>
    private static void Break(JsonNode node, Random random, int depth)
    {
        JsonNode?[] wrong = [null, 1, -7.5, "text", true, new JsonArray(), new JsonObject(), new JsonArray(1, "a", null), new JsonObject { ["name"] = 3 }];
        switch (node)
        {
            case JsonObject { Count: > 0 } map:
                var name = map.ElementAt(random.Next(map.Count)).Key;
                if (depth > 0 && random.Next(3) == 0 || map[name] is null or JsonValue)
                {
                    map[name] = wrong[random.Next(wrong.Length)]?.DeepClone();
                }
                else
                {
                    Break(map[name]!, random, depth + 1);
                }

                break;
            case JsonArray { Count: > 0 } list:
                var at = random.Next(list.Count);
                if (random.Next(3) == 0 || list[at] is null or JsonValue)
                {
                    list[at] = wrong[random.Next(wrong.Length)]?.DeepClone();
                }
                else
                {
                    Break(list[at]!, random, depth + 1);
                }

                break;
            default:
                break;
        }
    }
}
