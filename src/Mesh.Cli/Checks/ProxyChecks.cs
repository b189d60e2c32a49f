using System.Text.Json.Nodes;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.Cli.Checks;

/// <summary><c>mesh check --proxy</c>: the workloads of one namespace, or of all.</summary>
internal static class ProxyChecks
{
    private const string Category = "data-plane";
    private const string Restart = "kubectl rollout restart the workloads they belong to";

    public static IEnumerable<ClusterCheck> Of(string? ns)
    {
        var place = ns is null ? "/api/v1/" : $"/api/v1/namespaces/{ns}/";
        var namespaces = "/api/v1/namespaces";
        return
        [
            new("MESH-CHK-070", Category, "the namespace exists", async (facts, cancellationToken) =>
                ns is null || await facts.GetAsync($"{namespaces}/{ns}", cancellationToken) is not null ? null : Finding.Error($"there is no namespace {ns}", "correct -n")) { Stops = true },
            new("MESH-CHK-071", Category, "sidecars are ready", async (facts, cancellationToken) =>
                Found((await InjectedAsync(facts, place, cancellationToken)).Where(p => !MeshedPods.IsReady(p)), "kubectl logs POD -c mesh-proxy; see MESH-CHK-025 and MESH-CHK-050", error: true)),
            new("MESH-CHK-072", Category, "sidecars are of the control plane's version, or one minor version behind", async (facts, cancellationToken) =>
            {
                var version = (await facts.ValuesAsync(cancellationToken)).Version;
                return Found((await InjectedAsync(facts, place, cancellationToken)).Where(p => MeshedPods.Version(p) is { } own && !Skew.FitsBehind(own, version)), Restart);
            }),
            new("MESH-CHK-073", Category, "annotations are known", async (facts, cancellationToken) =>
            {
                var objects = (await facts.ListAsync(place + "pods", cancellationToken)).Where(MeshedPods.Runs).Concat(await facts.ListAsync(place + "services", cancellationToken))
                    .Concat((await facts.ListAsync(namespaces, cancellationToken)).Where(n => ns is null || n.Name() == ns));
                var wrong = objects.Select(o => (Object: o, Problem: AnnotationProblem(o))).Where(o => o.Problem is not null).Select(o => $"{o.Object.FullName()}: {o.Problem}").Distinct().ToList();
                return wrong.Count == 0 ? null : Finding.Warning(Some(wrong), "correct them: what is not known has no effect");
            }),
            new("MESH-CHK-074", Category, "opaque ports are ports of their Services", async (facts, cancellationToken) =>
            {
                var wrong = (await facts.ListAsync(place + "services", cancellationToken)).Select(s => (Service: s, Problem: OpaqueProblem(s))).Where(s => s.Problem is not null)
                    .Select(s => $"{s.Service.FullName()}: {s.Problem}").ToList();
                return wrong.Count == 0 ? null : Finding.Warning(Some(wrong), $"correct the annotation {Annotations.OpaquePorts}");
            }),
            new("MESH-CHK-075", Category, "pods that want a sidecar have one", async (facts, cancellationToken) =>
            {
                var enabled = (await facts.ListAsync(namespaces, cancellationToken)).Where(n => n.Text("metadata", "annotations", "meshlib.io/inject") == "enabled").Select(n => n.Name()).ToHashSet();
                return Found((await facts.ListAsync(place + "pods", cancellationToken)).Where(MeshedPods.Runs)
                    .Where(p => (p.Text("metadata", "annotations", "meshlib.io/inject") ?? (enabled.Contains(p.Namespace() ?? string.Empty) ? "enabled" : null)) == "enabled" && !MeshedPods.IsInjected(p)),
                    $"{Restart}; an event of the Pod says why it was left alone (kubectl describe pod)");
            }),
            PreChecks.PodSecurity,
        ];
    }

    private static async Task<IEnumerable<JsonObject>> InjectedAsync(ClusterFacts facts, string place, CancellationToken cancellationToken) =>
        (await facts.ListAsync(place + "pods", cancellationToken)).Where(MeshedPods.IsInjected).Where(MeshedPods.Runs);

    private static Finding? Found(IEnumerable<JsonObject> pods, string fix, bool error = false)
    {
        var names = pods.Select(p => p.FullName()).Order(StringComparer.Ordinal).ToList();
        return names.Count == 0 ? null : error ? Finding.Error(Some(names), fix) : Finding.Warning(Some(names), fix);
    }

    private static string Some(List<string> all) => string.Join("; ", all.Take(5)) + (all.Count > 5 ? $"; and {all.Count - 5} more" : string.Empty);

    private static string? AnnotationProblem(JsonObject item)
    {
        foreach (var (name, value) in item.At("metadata", "annotations") as JsonObject ?? [])
        {
            if (name.StartsWith(Annotations.Domain + "/", StringComparison.Ordinal) && !KnownAnnotations.All.Contains(name))
            {
                return $"'{name}' is unknown.{Suggestion.For(name, KnownAnnotations.All)}";
            }

            if (name == KnownAnnotations.Inject && value?.ToString() is not ("enabled" or "disabled" or "library"))
            {
                return $"{name} is '{value}': use enabled, disabled or library";
            }
        }

        return null;
    }

    private static string? OpaqueProblem(JsonObject service)
    {
        if (service.Text("metadata", "annotations", Annotations.OpaquePorts) is not { Length: > 0 } text)
        {
            return null;
        }

        if (!PortRanges.TryParse(text, out _))
        {
            return $"'{text}'. {PortRanges.Rule}";
        }

        var own = service.Each("spec", "ports").Select(p => (int)(p.Number("port") ?? 0)).ToList();
        var stray = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Where(t => PortRanges.TryParse(t, out var range) && !own.Any(range.Contains)).ToList();
        return stray.Count == 0 ? null : $"{string.Join(", ", stray)} is none of its ports ({string.Join(", ", own)})";
    }
}
